"""Importing a file of clients in the background, so that a killed worker loses nothing and repeats nothing.

Like the delivery engine, and unlike other services, an import commits: each batch of rows together
with its progress, so that whoever goes on starts at the next row.
"""

import io
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import BinaryIO

from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.exc import OperationalError

from skymailing.clients.cleaning import clean_text
from skymailing.clients.columns import Columns, recognise_columns
from skymailing.clients.csv_reader import CHUNK_SIZE, Record, read_records
from skymailing.clients.rows import ClientRow, RejectedRow, read_row
from skymailing.clients.upsert import upsert_clients
from skymailing.clock import utcnow
from skymailing.db import leases
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import IMPORT_TRANSITIONS, ClientImport, ImportRejection, ImportState, User

logger = logging.getLogger(__name__)

MAX_ROWS = 1_000_000
MAX_LINES = 2 * MAX_ROWS  # blank ones and those within a cell included: each costs time, whatever it holds
MAX_COLUMNS = 100
BATCH_SIZE = 500  # rows of one transaction, which on SQLite keeps other writers waiting
LEASE = timedelta(seconds=60)
SETTLING = timedelta(seconds=15)  # how long a hint may take before the sweep helps

OPEN_STATES = (ImportState.PENDING, ImportState.RUNNING)
# How files begin that people take for a table: .xlsx and other office files, and the older .xls.
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
Progress = Callable[[int, int], None]  # rows done, rows altogether
HandBack = Callable[[float], bool]  # told the seconds since the slice began


class UnusableFile(SkyMailingError):
    """A file cannot be imported at all, as opposed to some of its rows."""


class LeaseLost(Exception):
    """Another worker has taken the import over; this one was thought dead."""


def open_table(source: BinaryIO) -> tuple[Columns, Iterator[Record]]:
    """Return the columns of a CSV file and its rows; raises NoAddressColumn or UnusableFile."""
    source.seek(0)
    if source.read(4) in WORKBOOKS:
        raise UnusableFile(_("This is a workbook, not a CSV file. Open it, choose “Save as”, then “CSV”."))
    records = read_records(source)
    header = next(records, None)
    if header is None:
        raise UnusableFile(_("The file is empty."))
    if len(header.cells) > MAX_COLUMNS:
        raise UnusableFile(_("The file has more than %(limit)s columns.", limit=MAX_COLUMNS))
    return recognise_columns(header.cells), records


def create_import(owner_id: int, filename: str, content: bytes | None, source: BinaryIO) -> ClientImport:
    """Return a new import of the file; raises NoAddressColumn or UnusableFile.

    With `content` any worker can do it; without, only the one who has the file at hand.
    """
    check_length(source)
    columns, _rows = open_table(source)
    headers = [clean_text(header) for header in columns.headers]
    import_ = ClientImport(
        owner_id=owner_id, filename=clean_text(filename)[-255:], content=content, headers=headers
    )
    db.session.add(import_)
    db.session.flush()
    return import_


def check_length(source: BinaryIO) -> None:
    """Raise UnusableFile for a file with so many lines that reading them would take minutes."""
    source.seek(0)
    line_feeds = returns = 0
    while chunk := source.read(CHUNK_SIZE):
        line_feeds += chunk.count(b"\n")
        returns += chunk.count(b"\r")
        if max(line_feeds, returns) > MAX_LINES:
            raise UnusableFile(_("The file has more than 1,000,000 rows; divide it into several."))


def run_import_slice(
    import_id: int,
    source: BinaryIO | None = None,
    *,
    should_hand_back: HandBack | None = None,
    on_progress: Progress | None = None,
) -> bool:
    """Import rows until all are done or it is time to hand back; return whether more is left to do."""
    lease = take_lease(import_id, utcnow())
    if lease is None:
        return False
    with force_locale(find_locale(import_id)):
        try:
            file = source or load_content(import_id)
            return import_rows(import_id, lease, file, should_hand_back, on_progress)
        except LeaseLost:
            db.session.rollback()
            logger.warning("Import %s was taken over by another worker", import_id)
        except SkyMailingError as error:
            db.session.rollback()
            fail(import_id, str(error))
        except OperationalError:
            raise  # the database's trouble, not the file's: the sweep tries again when the lease is over
        except Exception:
            # A fault of ours: its owner is told that it ended, and the worker's log says why.
            db.session.rollback()
            fail(import_id, _("Something broke on our side; the fault has been written down."))
            raise
    return False


def import_rows(
    import_id: int,
    lease: datetime,
    source: BinaryIO,
    should_hand_back: HandBack | None,
    on_progress: Progress | None,
) -> bool:
    began = time.monotonic()
    done, total = count_rows(import_id, source)
    columns, records = open_table(source)
    rows = itertools.islice(records, done, None)
    while batch := list(itertools.islice(rows, BATCH_SIZE)):
        lease = import_batch(import_id, lease, batch, columns)
        done += len(batch)
        if on_progress:
            on_progress(done, total)
        if should_hand_back and should_hand_back(time.monotonic() - began):
            give_back(import_id, lease)
            return True
    finish(import_id, lease, done)
    return False


def import_batch(import_id: int, lease: datetime, batch: list[Record], columns: Columns) -> datetime:
    """Take the rows and record that they are dealt with, both or neither; return the renewed lease."""
    now = utcnow()
    rows = [read_row(record, columns) for record in batch]
    good = [row for row in rows if isinstance(row, ClientRow)]
    rejected = [row for row in rows if isinstance(row, RejectedRow)]
    owner_id = db.session.scalar(select(ClientImport.owner_id).where(ClientImport.id == import_id))
    if owner_id is None:
        raise LeaseLost
    created = upsert_clients(owner_id, good, now)
    if rejected:
        values = [
            {"import_id": import_id, "line": r.line, "value": r.value, "reason": r.reason} for r in rejected
        ]
        db.session.execute(insert(ImportRejection), values)
    renewed = now + LEASE
    change(
        import_id,
        lease,
        lease_until=renewed,
        rows_done=ClientImport.rows_done + len(batch),
        created=ClientImport.created + created,
        updated=ClientImport.updated + len(good) - created,
        rejected=ClientImport.rejected + len(rejected),
    )
    db.session.commit()
    return renewed


def take_lease(import_id: int, now: datetime) -> datetime | None:
    """Return until when the import is ours; None when it is over or somebody else's."""
    lease = now + LEASE
    is_waiting = ClientImport.state.in_(OPEN_STATES) & leases.is_free(ClientImport, now)
    taken = leases.take_lease(
        ClientImport, (ClientImport.id == import_id) & is_waiting, lease, state=ImportState.RUNNING
    )
    db.session.commit()
    return lease if taken else None


def change(import_id: int, lease: datetime, **values: object) -> None:
    """Change the import while the lease is ours; raises LeaseLost."""
    if not leases.change_leased(ClientImport, [import_id], lease, **values):
        raise LeaseLost


def give_back(import_id: int, lease: datetime) -> None:
    change(import_id, lease, lease_until=None)
    db.session.commit()


def finish(import_id: int, lease: datetime, done: int) -> None:
    change(import_id, lease, lease_until=None, content=None, state=ImportState.FINISHED, rows_total=done)
    db.session.commit()


def fail(import_id: int, error: str) -> None:
    db.session.execute(
        update(ClientImport)
        .where(
            ClientImport.id == import_id,
            ClientImport.state.in_(IMPORT_TRANSITIONS.sources(ImportState.FAILED)),
        )
        .values(state=ImportState.FAILED, error=error[:500], lease_until=None, content=None)
    )
    db.session.commit()


def find_locale(import_id: int) -> str:
    """Return the owner's language, for what the import says about the file as a whole."""
    locale = db.session.scalar(
        select(User.locale)
        .join(ClientImport, ClientImport.owner_id == User.id)
        .where(ClientImport.id == import_id)
    )
    db.session.rollback()
    return locale or "en"


def load_content(import_id: int) -> BinaryIO:
    content = db.session.scalar(select(ClientImport.content).where(ClientImport.id == import_id))
    db.session.rollback()
    if content is None:
        raise UnusableFile(_("The command was interrupted. Run it again: what is done is only updated."))
    return io.BytesIO(content)


def count_rows(import_id: int, source: BinaryIO) -> tuple[int, int]:
    """Return how many rows are done and how many there are; counts them once per import."""
    row = db.session.execute(
        select(ClientImport.rows_done, ClientImport.rows_total).where(ClientImport.id == import_id)
    ).one()
    db.session.rollback()  # counting takes seconds, and no transaction waits for it
    if row.rows_total is not None:
        return row.rows_done, row.rows_total
    _columns, records = open_table(source)
    total = sum(1 for _record in itertools.islice(records, MAX_ROWS + 1))
    if total > MAX_ROWS:
        raise UnusableFile(_("The file has more than 1,000,000 rows; divide it into several."))
    db.session.execute(update(ClientImport).where(ClientImport.id == import_id).values(rows_total=total))
    db.session.commit()
    return row.rows_done, total


def resume_stalled_imports(now: datetime) -> list[int]:
    """Return the imports that nobody works at: a hint was lost, or a worker died."""
    return list(
        db.session.scalars(
            select(ClientImport.id)
            .where(
                ClientImport.state.in_(OPEN_STATES),
                or_(
                    ClientImport.lease_until < now,
                    and_(ClientImport.lease_until.is_(None), ClientImport.updated_at < now - SETTLING),
                ),
            )
            .order_by(ClientImport.id)
        )
    )


def count_imports_under_way(owner_id: int) -> int:
    """Return how many of the owner's imports are not over yet."""
    return (
        db.session.scalar(
            select(func.count()).where(ClientImport.owner_id == owner_id, ClientImport.state.in_(OPEN_STATES))
        )
        or 0
    )
