"""Log the letters that a worker hands over, in a file that survives a crash of the worker.

Each worker has one file, which is locked while the worker runs. Each line is written with one system call, so
the operating system keeps the lines of a killed process. If the lock is free, the worker is dead, and the
journal covers its last lease; earlier leases have been recorded. The journal shows which letters were started
(unknown), which got a reply, and, by their absence, which were never started.
"""

import errno
import fcntl
import json
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict

logger = logging.getLogger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
NO_REPLY = "the sending process ended after the letter was handed over and before the server replied"


def read_boot_id() -> str:
    """Return an ID that changes with every boot of the operating system; empty if unavailable."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


class WorkerJournal:
    """The journal of a running worker."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / f"{uuid4().hex}.jsonl"
        # Locked before it gets the name that a sweep looks for.
        unfinished = self.path.with_suffix(".new")
        self._file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._write({"boot": read_boot_id()})
            unfinished.rename(self.path)
        except OSError:
            unfinished.unlink()
            os.close(self._file)
            raise

    def claim(self, token: str) -> None:
        """Record a lease; called before the claim is committed."""
        self._write({"claim": token})

    def begin(self, letter: Letter) -> None:
        """Record that the letter's body is about to be written; raises OSError."""
        self._append(b'{"begin": %d, "number": %d}' % (letter.delivery_id, letter.number))

    def end(self, result: Result) -> None:
        """Record the letter's result."""
        letter = result.letter
        # Formatted by hand: `json` takes several times as long, and this runs for every letter.
        entry = b'{"end": %d, "number": %d, "verdict": "%s", "code": %s, "answer": %s}' % (
            letter.delivery_id,
            letter.number,
            result.verdict.encode(),
            b"null" if result.code is None else b"%d" % result.code,
            encode_basestring_ascii(result.answer).encode(),
        )
        try:
            self._append(entry)
        except OSError as error:
            # The result is about to be recorded in the database; it is lost only if this process dies first.
            logger.warning("the journal cannot be written: %s", error)

    def read_lease(self) -> "Lease | None":
        """Return the journal's entries about the current lease."""
        return _read(self.path).lease

    def clear(self) -> None:
        """Empty the journal; only when no lease is held."""
        os.ftruncate(self._file, 0)
        self._write({"boot": read_boot_id()})

    def close(self) -> None:
        """Delete the journal; only when no lease is held."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def abandon(self) -> None:
        """Leave the journal to the sweep, as if this worker were dead."""
        os.close(self._file)

    def _write(self, entry: dict[str, object]) -> None:
        self._append(json.dumps(entry).encode())

    def _append(self, entry: bytes) -> None:
        # The line break comes first, so that an entry cut off by a full disk does not damage the next one.
        line = b"\n" + entry
        if os.write(self._file, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class DeliveryRow(Protocol):
    """The columns of a delivery that are needed to build its result."""

    @property
    def id(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def email(self) -> str: ...


@dataclass
class Lease:
    """A journal's entries about a lease."""

    token: str
    results: list[Result] = field(default_factory=list)
    begun: dict[int, int] = field(default_factory=dict)  # delivery ID -> attempt number

    def list_results(self, rows: Iterable[DeliveryRow]) -> list[Result]:
        """Return the results of those deliveries whose letters got a reply."""
        results = {result.letter.delivery_id: result for result in self.results}
        return [results[row.id]._replace(letter=_make_letter(row)) for row in rows if row.id in results]

    def assume_results(self, rows: Iterable[DeliveryRow], is_complete: bool = True) -> list[Result]:
        """Return the results of the deliveries whose letters got no reply.

        A letter that the journal does not mention was never started, unless the journal is incomplete.
        """
        ended = {result.letter.delivery_id for result in self.results}
        results = []
        for row in rows:
            if row.id in self.begun or (row.id not in ended and not is_complete):
                results.append(Result(_make_letter(row), Verdict.UNKNOWN, None, NO_REPLY))
            elif row.id not in ended:
                results.append(Result(_make_letter(row), Verdict.RELEASED))
        return results


def _make_letter(row: DeliveryRow) -> Letter:
    return Letter(row.id, row.attempts + 1, row.email, b"")


@dataclass
class DeadJournal:
    """The journal of a dead worker, locked while it is read."""

    path: Path
    lease: Lease | None
    # False after a power cut: lines that the operating system had not written yet are missing.
    is_complete: bool
    written_at: datetime

    def remove(self) -> None:
        """Delete the journal; only when nothing that its worker started can still take effect."""
        self.path.unlink(missing_ok=True)


def read_dead_journals(directory: Path) -> Iterator[DeadJournal]:
    """Yield each journal without a running worker, for the caller to recover and remove."""
    for path in sorted(directory.glob("*.jsonl")):
        try:
            with _lock_dead(path):
                yield _read(path)
        except (FileNotFoundError, BlockingIOError):
            continue
        except OSError as error:
            logger.warning("the journal %s cannot be read: %s", path.name, error.strerror)


@contextmanager
def _lock_dead(path: Path) -> Iterator[None]:
    """Lock a dead worker's journal; raises BlockingIOError if the worker is running."""
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)


def find_unreadable(directory: Path) -> dict[Path, str]:
    """Return the entries of the journal directory that cannot be read, with the reasons."""
    found: dict[Path, str] = {}
    for path in sorted(directory.glob("*.jsonl")):
        try:
            os.close(os.open(path, os.O_RDWR))
            _read(path)
        except FileNotFoundError:  # its worker has just closed it
            continue
        except OSError as error:
            found[path] = error.strerror or str(error)
    return found


def list_known_leases(directory: Path) -> set[str]:
    """Return the tokens of all leases in this host's journals, of both running and dead workers."""
    tokens: set[str] = set()
    for path in directory.glob("*.jsonl"):
        with suppress(OSError):  # its worker has just closed it, or it is unreadable
            if lease := _read(path).lease:
                tokens.add(lease.token)
    return tokens


def _read(path: Path) -> DeadJournal:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    journal = DeadJournal(
        path, None, is_complete=False, written_at=datetime.fromtimestamp(status.st_mtime, UTC)
    )
    is_damaged = False
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # cut off by a crash or a full disk, or the empty first line
        try:
            _add_entry(journal, entry)
        except (AttributeError, KeyError, TypeError, ValueError):
            is_damaged = True  # not written by a worker: any other entry may be missing, too
    journal.is_complete &= not is_damaged
    return journal


def _add_entry(journal: DeadJournal, entry: Any) -> None:
    if not isinstance(entry, dict):
        raise TypeError
    lease = journal.lease
    if "boot" in entry:
        journal.is_complete = bool(entry["boot"]) and entry["boot"] == read_boot_id()
    elif "claim" in entry:
        journal.lease = Lease(str(entry["claim"]))
    elif lease and "begin" in entry:
        lease.begun[int(entry["begin"])] = int(entry["number"])
    elif lease and "end" in entry:
        letter = Letter(int(entry["end"]), int(entry["number"]), "", b"")
        result = Result(letter, Verdict(entry["verdict"]), entry["code"], str(entry["answer"]))
        lease.begun.pop(letter.delivery_id, None)
        lease.results.append(result)
