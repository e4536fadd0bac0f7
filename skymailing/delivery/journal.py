"""A worker's own record of what it handed over, which survives its death.

One file per worker, locked while the worker lives. Each line is written with one system call, so a
killed process leaves what it knew with the operating system. When the lock can be had, its
holder is dead, and the journal tells of its last lease, as the ones before were recorded: which
letters were under way (unknown), which had an answer, and, by their absence, which were never begun.
"""

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from skymailing.delivery.smtp.session import Letter, Result, Verdict

logger = logging.getLogger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CUT_SHORT = "the sending process ended between handing the letter over and the server's answer"


def boot_id() -> str:
    """Return what changes with every start of the operating system; empty where unknown."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


class WorkerJournal:
    """The journal that a living worker writes; a context manager that removes it at the end."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / f"{uuid4().hex}.jsonl"
        # Locked before it has the name by which a sweep would take it for a dead worker's.
        unfinished = self.path.with_suffix(".new")
        self._file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._write({"boot": boot_id()})
            unfinished.rename(self.path)
        except OSError:
            unfinished.unlink()
            os.close(self._file)
            raise

    def claim(self, token: str) -> None:
        """Note a lease before its claim is committed."""
        self._write({"claim": token})

    def begin(self, letter: Letter) -> None:
        """Note that the letter's body is about to be written; raises OSError when that cannot be noted."""
        self._append(b'{"begin": %d, "number": %d}' % (letter.delivery_id, letter.number))

    def end(self, result: Result) -> None:
        """Note how the letter ended."""
        letter = result.letter
        # Put together by hand, as `json` takes several times as long, and this is done for each letter.
        entry = b'{"end": %d, "number": %d, "verdict": "%s", "code": %s, "answer": %s}' % (
            letter.delivery_id,
            letter.number,
            result.verdict.encode(),
            b"null" if result.code is None else b"%d" % result.code,
            json.dumps(result.answer).encode(),
        )
        try:
            self._append(entry)
        except OSError as error:
            # The result is about to be recorded; only a death before that would make it unknown.
            logger.warning("the journal cannot be written: %s", error)

    def recall(self) -> "Lease | None":
        """Return what was noted of the present lease."""
        return _read(self.path).lease

    def clear(self) -> None:
        """Forget everything: no lease is held now."""
        os.ftruncate(self._file, 0)
        self._write({"boot": boot_id()})

    def close(self) -> None:
        """Remove the journal; only when no lease is held."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def abandon(self) -> None:
        """Leave the journal to the sweep, as if this worker were dead."""
        os.close(self._file)

    def _write(self, entry: dict[str, object]) -> None:
        self._append(json.dumps(entry).encode())

    def _append(self, entry: bytes) -> None:
        # The line end comes first, so that an entry cut short by a full disk does not spoil the next.
        line = b"\n" + entry
        if os.write(self._file, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Row(Protocol):
    """A delivery as far as a journal's words about it need it."""

    @property
    def id(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def email(self) -> str: ...


@dataclass
class Lease:
    """What a worker wrote down of a lease."""

    token: str
    results: list[Result] = field(default_factory=list)
    begun: dict[int, int] = field(default_factory=dict)  # delivery id -> attempt number

    def tell_ended(self, rows: Iterable[Row]) -> list[Result]:
        """Return what is said of those of the lease's rows whose letters had an answer."""
        results = {result.letter.delivery_id: result for result in self.results}
        return [replace(results[row.id], letter=_letter(row)) for row in rows if row.id in results]

    def tell_others(self, rows: Iterable[Row], complete: bool = True) -> list[Result]:
        """Return what is said of the others, by what is left out unless that may be missing."""
        ended = {result.letter.delivery_id for result in self.results}
        results = []
        for row in rows:
            if row.id in self.begun or (row.id not in ended and not complete):
                results.append(Result(_letter(row), Verdict.UNKNOWN, None, CUT_SHORT))
            elif row.id not in ended:
                results.append(Result(_letter(row), Verdict.RELEASED))
        return results


def _letter(row: Row) -> Letter:
    return Letter(row.id, row.attempts + 1, row.email, b"")


@dataclass
class DeadJournal:
    """A journal whose worker is dead, held locked while it is read back."""

    path: Path
    lease: Lease | None
    # False after a power cut: what the operating system had not written yet is missing.
    complete: bool
    written_at: datetime

    def remove(self) -> None:
        """Forget it; only when nothing that its worker began can still take effect."""
        self.path.unlink(missing_ok=True)


def read_dead_journals(directory: Path) -> Iterator[DeadJournal]:
    """Yield each journal that no living worker holds, for the caller to settle and to remove."""
    for path in sorted(directory.glob("*.jsonl")):
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield _read(path)
        except BlockingIOError:
            continue
        finally:
            os.close(file)


def known_leases(directory: Path) -> set[str]:
    """Return the tokens of the leases of which this host's journals tell, the living and the dead."""
    tokens: set[str] = set()
    for path in directory.glob("*.jsonl"):
        with suppress(FileNotFoundError):  # its worker has just ended
            if lease := _read(path).lease:
                tokens.add(lease.token)
    return tokens


def _read(path: Path) -> DeadJournal:
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    journal = DeadJournal(path, None, complete=False, written_at=written_at)
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the line that a death or a full disk cut short, or the empty one at the start
        lease = journal.lease
        if "boot" in entry:
            journal.complete = bool(entry["boot"]) and entry["boot"] == boot_id()
        elif "claim" in entry:
            journal.lease = Lease(entry["claim"])
        elif lease and "begin" in entry:
            lease.begun[entry["begin"]] = entry["number"]
        elif lease and "end" in entry:
            letter = Letter(entry["end"], entry["number"], "", b"")
            lease.begun.pop(letter.delivery_id, None)
            lease.results.append(Result(letter, Verdict(entry["verdict"]), entry["code"], entry["answer"]))
    return journal
