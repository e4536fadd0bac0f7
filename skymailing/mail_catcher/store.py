"""Store caught letters, one raw file each.

The file names contain the time and the recipient, so that sorting and searching need not open any file.
"""

import itertools
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from pathlib import Path

HEADER_BYTES = 65_536  # read per letter in a list
MAX_NAME_BYTES = 200  # for the recipient in a file name; file systems allow 255 for the whole name
LETTER_ID = re.compile(r"\d{19}-\d{6}_[A-Za-z0-9@.+_=-]+")
SUFFIX = ".eml"
UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class CaughtLetter:
    """A letter on disk; its headers and parts are read on access."""

    path: Path

    @property
    def id(self) -> str:
        """The ID in URLs: time, number and recipient."""
        return self.path.name.removesuffix(SUFFIX)

    @property
    def caught_at(self) -> datetime:
        return datetime.fromtimestamp(int(self.path.name[:19]) / 1e9, UTC)

    @property
    def raw(self) -> bytes:
        return self.path.read_bytes()

    @property
    def headers(self) -> EmailMessage:
        """Only the headers, for lists."""
        with self.path.open("rb") as file:
            return BytesHeaderParser(policy=policy.default).parsebytes(file.read(HEADER_BYTES))

    @property
    def message(self) -> EmailMessage:
        return BytesParser(policy=policy.default).parsebytes(self.raw)

    @property
    def recipient(self) -> str:
        """The recipient in the envelope, which may differ from the To header."""
        return str(self.headers.get("Delivered-To", ""))


class LetterStore:
    """The letters in one directory; safe for one writer and any number of readers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.cycle(range(1_000_000))

    def prepare(self) -> None:
        """Create the directory and remove a killed writer's unfinished files; only for the writer."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._directory.glob(f"{UNFINISHED}*"):
            path.unlink(missing_ok=True)

    def save(self, sender: str, recipient: str, content: bytes) -> None:
        """Store a letter with its envelope as the first headers; readers see it completely or not at all."""
        number = next(self._numbers)
        name = f"{time.time_ns():019}-{number:06}_{_make_file_name(recipient)}{SUFFIX}"
        envelope = f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode()
        unfinished = self._directory / f"{UNFINISHED}{number:06}"
        unfinished.write_bytes(envelope + content)
        os.rename(unfinished, self._directory / name)

    def list_letters(self, query: str = "") -> list[CaughtLetter]:
        """Return the letters whose recipient contains `query`, newest first."""
        name_part = _make_file_name(query.strip())
        names = [name for name in self._list_names() if name_part in name[27 : -len(SUFFIX)]]
        names.sort(reverse=True)
        return [CaughtLetter(self._directory / name) for name in names]

    def list_older(self, cutoff: datetime) -> list[CaughtLetter]:
        """Return the letters that were caught before `cutoff`, oldest first."""
        first_kept = f"{int(cutoff.timestamp() * 1e9):019}"
        names = sorted(name for name in self._list_names() if name[:19] < first_kept)
        return [CaughtLetter(self._directory / name) for name in names]

    def find(self, letter_id: str) -> CaughtLetter | None:
        """Return the letter with this ID."""
        if not LETTER_ID.fullmatch(letter_id):
            return None
        letter = CaughtLetter(self._directory / (letter_id + SUFFIX))
        return letter if letter.path.is_file() else None

    def delete_all(self) -> int:
        """Delete all letters; return their number."""
        letters = self.list_letters()
        for letter in letters:
            letter.path.unlink(missing_ok=True)
        return len(letters)

    def _list_names(self) -> Iterator[str]:
        try:
            with os.scandir(self._directory) as entries:
                yield from (entry.name for entry in entries if entry.name.endswith(SUFFIX))
        except FileNotFoundError:
            return  # nothing has been caught yet


def _make_file_name(address: str) -> str:
    """Convert an address to lowercase, with =XX for bytes that are unsafe in file names or URLs."""
    unsafe = re.compile(rb"[^a-z0-9@.+_-]")
    name = unsafe.sub(lambda match: b"=%02X" % ord(match[0]), address.lower().encode()).decode()
    return name[:MAX_NAME_BYTES]
