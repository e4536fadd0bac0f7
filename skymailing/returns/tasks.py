"""Read the mailbox for returned mail in the background."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from sqlalchemy.exc import OperationalError

from skymailing import counters, hints, queue
from skymailing.clock import utcnow
from skymailing.db.engine import StopCheck
from skymailing.extensions import db
from skymailing.models import ReturnedState
from skymailing.returns.arrivals import Arrival
from skymailing.returns.mailbox.base import Mailbox, MailboxFault
from skymailing.returns.mailbox.opening import open_mailbox
from skymailing.returns.services import StoredReturn, ingest_letters
from skymailing.settings.returned_mail import MailboxAddress, returned_mail_settings

logger = logging.getLogger(__name__)

PAUSE = 120  # seconds between two reads of the mailbox
LEASE = 120  # seconds without progress after which a reader counts as dead
PAGE = 50  # letters listed at once
BATCH = 100  # reports per transaction, because searching by address is slow; most letters have one report
MAX_HELD = 4 * 1024 * 1024  # bytes of letters kept in memory
# Letters per session: POP3 deletes letters when the session ends, and imaplib remembers the moved ones.
SESSION = 500
MAX_FAULTS = 20  # unreadable letters after which reading stops for now


@dataclass
class Reading:
    """The result of reading the mailbox."""

    understood: int = 0
    unclear: int = 0
    # Letters that the server did not return or could not file, or that were not stored.
    skipped: int = 0
    page: int = field(default_factory=lambda: PAGE)
    is_unfinished: bool = False
    # The reason why the mailbox could not be used; empty if it could.
    fault: str = ""


def hint_mailbox_if_due() -> None:
    """Ask a worker to read the mailbox, unless it was read a short time ago."""
    is_set = returned_mail_settings().mailbox is not None
    if is_set and queue.hold_lease("mailbox-pause", uuid4().hex, PAUSE):
        hints.hint_mailbox()


def read_mailbox(should_stop: StopCheck) -> Reading:
    """Process the letters in the mailbox until all are read or `should_stop`; one process at a time.

    Letters are filed after they are committed. After a crash in between, they are read again without effect.
    """
    reading, holder, start = Reading(), uuid4().hex, time.monotonic()
    address = returned_mail_settings().mailbox

    def can_continue() -> bool:
        reading.is_unfinished = should_stop(time.monotonic() - start)
        return not reading.is_unfinished and queue.hold_lease("mailbox", holder, LEASE)

    if address is None or not queue.hold_lease("mailbox", holder, LEASE):
        return reading
    try:
        while _read_session(address, reading, can_continue):
            pass
        counters.set_gauge("mailbox_read", utcnow().timestamp())
    except MailboxFault as error:
        reading.fault = str(error)
        counters.set_gauge("mailbox_failed", utcnow().timestamp())
        logger.warning("The mailbox for returned mail on %s cannot be read: %s", address.host, error)
    finally:
        queue.end_lease("mailbox", holder)
    if reading.understood or reading.unclear:
        logger.info("Read %d returned letters, %d are unclear", reading.understood, reading.unclear)
    return reading


def _read_session(address: MailboxAddress, reading: Reading, can_continue: Callable[[], bool]) -> bool:
    """Read letters in one session; return whether to open another one. Raises MailboxFault."""
    mailbox = open_mailbox(address)
    done = 0
    try:
        while done < SESSION and reading.skipped < MAX_FAULTS:
            names = mailbox.list_letters(reading.skipped, reading.page)
            if not names or not can_continue():
                return False
            try:
                _read_page(mailbox, names, reading)
            except MailboxFault as error:
                # Replies may be out of step, so use a new session: first read one by one, then skip this
                # letter.
                logger.warning("Returned letters on %s cannot be read: %s", address.host, error)
                reading.skipped += reading.page == 1
                reading.page = 1 if reading.page > 1 else PAGE
                break
            done += len(names)
        return reading.skipped < MAX_FAULTS
    finally:
        with suppress(MailboxFault):
            mailbox.close()


def _read_page(mailbox: Mailbox, names: list[str], reading: Reading) -> None:
    """Process letters, and file them once they are stored. Raises MailboxFault."""
    count = 0
    for batch in _split(mailbox.read(names)):
        count += len(batch)
        results = ingest_batches([Arrival.read(raw, "mailbox") for _, raw in batch], utcnow())
        stored: dict[bool, list[str]] = {True: [], False: []}
        for (name, _), letter in zip(batch, results, strict=True):
            if letter is None:
                reading.skipped += 1
            else:
                stored[letter.state is not ReturnedState.UNCLEAR].append(name)
        for is_understood, done in stored.items():
            if done:
                mailbox.file(done, is_understood)
        reading.understood += len(stored[True])
        reading.unclear += len(stored[False])
    if not count:
        raise MailboxFault("The server listed letters but did not return them.")


def _split(letters: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the letters in batches of limited size in bytes."""
    batch: list[tuple[str, bytes]] = []
    size = 0
    for letter in letters:
        batch.append(letter)
        size += len(letter[1])
        if size >= MAX_HELD:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def ingest_batches(arrivals: Sequence[Arrival], now: datetime) -> list[StoredReturn | None]:
    """Process and commit letters, several per transaction; after an error, each in its own.

    None means that a letter was not stored. Raises OperationalError if the database is unavailable: some
    letters are then not stored, and the call has to be repeated with all of them.
    """
    results: list[StoredReturn | None] = []
    for batch in _group(arrivals):
        try:
            results += _commit(batch, now)
        except Exception as error:  # any error: a single letter may cause it, which is found below
            logger.warning("%d returned letters were not stored together: %r", len(batch), error)
            results += [_ingest_alone(arrival, now) for arrival in batch]
    return results


def _group(arrivals: Sequence[Arrival]) -> Iterator[list[Arrival]]:
    """Yield the letters in batches of up to BATCH reports, or of one letter with more."""
    batch: list[Arrival] = []
    size = 0
    for arrival in arrivals:
        size += len(arrival.reports)
        if batch and size > BATCH:
            yield batch
            batch, size = [], len(arrival.reports)
        batch.append(arrival)
    if batch:
        yield batch


def _ingest_alone(arrival: Arrival, now: datetime) -> StoredReturn | None:
    try:
        return _commit([arrival], now)[0]
    except OperationalError:
        raise
    except Exception:  # it must not delay the other letters
        logger.exception("A returned letter was not stored: %s", arrival.digest)
        return None


def _commit(arrivals: Sequence[Arrival], now: datetime) -> list[StoredReturn]:
    try:
        results = ingest_letters(arrivals, now)
        db.session.commit()
    finally:
        db.session.rollback()  # after an error; a commit leaves nothing to roll back
    return results
