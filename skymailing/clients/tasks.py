"""Import a file of clients in the background; if the worker is killed, no row is skipped or counted twice.

Each batch of rows is committed together with its progress, so that the next worker continues at the
next row.
"""

import io
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO

from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError

from skymailing.clients.attribute_types import learn_types
from skymailing.clients.cleaning import ValueFault
from skymailing.clients.client_limit import ClientLimit
from skymailing.clients.consents import record_imported, store_text
from skymailing.clients.files.csv_reader import Record
from skymailing.clients.imported_tags import reject_excess, tag_clients
from skymailing.clients.imports import MAX_ROWS, UNFINISHED_STATES, UnusableFile, count_lines, open_table
from skymailing.clients.mapping import Mapping
from skymailing.clients.read_ahead import read_ahead
from skymailing.clients.rows import (
    ClientRow,
    RejectedRow,
    Row,
    RowReader,
    SkippedRow,
    SuppressedRow,
    reject,
)
from skymailing.clients.suppression import NewSuppression, suppress_all
from skymailing.clients.upsert import upsert_document, write_document
from skymailing.clock import utcnow
from skymailing.db import leases
from skymailing.db.engine import StopCheck
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import IMPORT_TRANSITIONS, ClientImport, ImportRejection, ImportState, Origin
from skymailing.quotas.checks import count_up_to
from skymailing.settings.quotas import quota_settings
from skymailing.web.error_texts import explain

logger = logging.getLogger(__name__)

BATCH_SIZE = 2_000  # rows per transaction, which blocks other writers on SQLite for less than 0.1 s
LEASE = timedelta(seconds=60)
ProgressCallback = Callable[[int, int], None]  # rows done, total rows


class LeaseLost(Exception):
    """The lease expired and another worker has taken over the import."""


def run_import_slice(
    import_id: int,
    source: BinaryIO | None = None,
    *,
    should_stop: StopCheck | None = None,
    on_progress: ProgressCallback | None = None,
) -> bool:
    """Import rows until all are done or `should_stop` returns True; return whether any are left."""
    lease = acquire_lease(import_id, utcnow())
    if lease is None:
        return False
    try:
        file = source or load_content(import_id)
        return import_rows(import_id, lease, file, should_stop, on_progress)
    except LeaseLost:
        db.session.rollback()
        logger.warning("Import %s was taken over by another worker", import_id)
    except UserError as error:
        db.session.rollback()
        # An error text that contains values cannot be restored from its code alone, so store the text.
        mark_failed(import_id, explain(error)[:500] if error.values else error.code)
    except OperationalError:
        raise  # a database problem, not a bad file: the sweep repeats it when the lease has expired
    except Exception:  # a bug in our code: the owner sees that the import failed; the log has the traceback
        db.session.rollback()
        mark_failed(import_id, "import_internal_error")
        raise
    return False


def import_rows(
    import_id: int,
    lease: datetime,
    source: BinaryIO,
    should_stop: StopCheck | None,
    on_progress: ProgressCallback | None,
) -> bool:
    """Import the rows in batches; return whether any are left."""
    started_at = time.monotonic()
    target = find_target(import_id)
    done, total = count_rows(import_id, source, target.mapping)
    columns, records = open_table(source, target.mapping)
    reader = RowReader(columns, target.mapping.tag)
    for batch in read_ahead(read_batches(itertools.islice(records, done, None), reader)):
        lease = import_batch(target, lease, batch)
        done += len(batch.records)
        if on_progress:
            on_progress(done, total)
        if should_stop and should_stop(time.monotonic() - started_at):
            release_lease(import_id, lease)
            return True
    mark_finished(import_id, lease, done)
    return False


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of a file's records, their parsed rows, and the clients in them for `upsert_document`."""

    records: list[Record]
    rows: list[Row]
    document: str


def read_batches(records: Iterator[Record], reader: RowReader) -> Iterator[Batch]:
    """Yield the records in batches of BATCH_SIZE."""
    while batch := list(itertools.islice(records, BATCH_SIZE)):
        rows = [reader.read(record) for record in batch]
        yield Batch(batch, rows, write_document(list_clients(rows)))


def list_clients(rows: Sequence[Row]) -> list[ClientRow]:
    return [row for row in rows if isinstance(row, ClientRow)]


def list_unknown_zones(records: Sequence[Record], rows: Sequence[Row]) -> list[RejectedRow]:
    """Return the rows of clients who are imported without their time zone, which does not exist."""
    return [
        reject(record, ValueFault.UNKNOWN_TIMEZONE)
        for record, row in zip(records, rows, strict=True)
        if isinstance(row, ClientRow) and row.has_unknown_zone
    ]


@dataclass(frozen=True, slots=True)
class Target:
    """An import, and the values that apply to all its rows."""

    import_id: int
    filename: str
    mapping: Mapping
    client_limit: ClientLimit
    consent_text_id: int | None = None


def import_batch(target: Target, lease: datetime, batch: Batch) -> datetime:
    """Import the rows and record the progress in one transaction; return the renewed lease."""
    now = utcnow()
    owner_id = target.client_limit.owner_id
    rows = reject_excess(owner_id, batch.records, batch.rows)
    valid = list_clients(rows)
    suppressed = [row for row in rows if isinstance(row, SuppressedRow)]
    rejected = [row for row in rows if isinstance(row, RejectedRow)] + list_unknown_zones(batch.records, rows)
    document = batch.document if rows is batch.rows else write_document(valid)
    created = upsert_document(owner_id, document, now, Origin.IMPORT, target.import_id)
    target.client_limit.use(created)
    tag_clients(owner_id, valid)
    learn_types(owner_id, valid)
    record_imported(owner_id, valid, target.consent_text_id, now)
    suppress_all(
        owner_id, [NewSuppression(row.email_key, row.reason, target.filename) for row in suppressed], now
    )
    store_rejected(target.import_id, rejected)
    renewed = now + LEASE
    update_import(
        target.import_id,
        lease,
        lease_until=renewed,
        rows_done=ClientImport.rows_done + len(rows),
        created=ClientImport.created + created,
        updated=ClientImport.updated + len(valid) - created,
        rejected=ClientImport.rejected + len(rejected),
        suppressed=ClientImport.suppressed + len(suppressed),
        left_out=ClientImport.left_out + sum(isinstance(row, SkippedRow) for row in rows),
    )
    db.session.commit()
    return renewed


def find_target(import_id: int) -> Target:
    """Return the target of the import's rows; raises LeaseLost if the import has been deleted."""
    row = db.session.execute(
        select(
            ClientImport.owner_id,
            ClientImport.filename,
            ClientImport.mapping,
            ClientImport.consent_text,
        ).where(ClientImport.id == import_id)
    ).first()
    if row is None:
        raise LeaseLost
    client_limit = ClientLimit(row.owner_id)
    text_id = store_text(row.owner_id, row.consent_text, utcnow())
    db.session.commit()
    return Target(import_id, row.filename, Mapping.load(row.mapping), client_limit, text_id)


def store_rejected(import_id: int, rejected: list[RejectedRow]) -> None:
    """Store rejected rows, up to the limit per import, so that the owner can correct them."""
    limit = quota_settings().rejections_per_import
    if rejected and limit:
        stored = select(ImportRejection.id).where(ImportRejection.import_id == import_id)
        rejected = rejected[: limit - count_up_to(stored, limit)]
    if rejected:
        values = [
            {"import_id": import_id, "line": r.line, "value": r.value, "reason": r.reason} for r in rejected
        ]
        db.session.execute(insert(ImportRejection), values)


def acquire_lease(import_id: int, now: datetime) -> datetime | None:
    """Acquire the import's lease and return its end; None if it has ended or another worker has the lease."""
    lease = now + LEASE
    is_available = ClientImport.state.in_(UNFINISHED_STATES) & leases.is_free(ClientImport, now)
    acquired = leases.take_lease(
        ClientImport, (ClientImport.id == import_id) & is_available, lease, state=ImportState.RUNNING
    )
    db.session.commit()
    return lease if acquired else None


def update_import(import_id: int, lease: datetime, **values: object) -> None:
    """Update the import if this worker still has its lease; otherwise raise LeaseLost."""
    if not leases.change_leased(ClientImport, [import_id], lease, **values):
        raise LeaseLost


def release_lease(import_id: int, lease: datetime) -> None:
    update_import(import_id, lease, lease_until=None)
    db.session.commit()


def mark_finished(import_id: int, lease: datetime, done: int) -> None:
    update_import(
        import_id, lease, lease_until=None, content=None, state=ImportState.FINISHED, rows_total=done
    )
    db.session.commit()


def mark_failed(import_id: int, error: str) -> None:
    """End the import, and record the error's code or text."""
    db.session.execute(
        update(ClientImport)
        .where(
            ClientImport.id == import_id,
            ClientImport.state.in_(IMPORT_TRANSITIONS.sources(ImportState.FAILED)),
        )
        .values(state=ImportState.FAILED, error=error, lease_until=None, content=None)
    )
    db.session.commit()


def load_content(import_id: int) -> BinaryIO:
    """Return the stored file; raises UnusableFile if a command had it open and was interrupted."""
    content = db.session.scalar(select(ClientImport.content).where(ClientImport.id == import_id))
    db.session.rollback()
    if content is None:
        raise UnusableFile("import_interrupted")
    return io.BytesIO(content)


def estimate_rows(source: BinaryIO, mapping: Mapping) -> int:
    """Return an upper bound for a file's number of rows; raises UnusableFile if there are too many.

    A row has at least one line, so only files of more than MAX_ROWS lines are read twice.
    """
    lines = count_lines(source)
    if lines <= MAX_ROWS:
        return lines
    _columns, records = open_table(source, mapping)
    total = sum(1 for _record in itertools.islice(records, MAX_ROWS + 1))
    if total > MAX_ROWS:
        raise UnusableFile("import_too_many_rows")
    return total


def count_rows(import_id: int, source: BinaryIO, mapping: Mapping) -> tuple[int, int]:
    """Return how many rows are done and how many there are; a file's rows are counted only once."""
    row = db.session.execute(
        select(ClientImport.rows_done, ClientImport.rows_total).where(ClientImport.id == import_id)
    ).one()
    db.session.rollback()  # counting takes seconds; leave no transaction open
    if row.rows_total is not None:
        return row.rows_done, row.rows_total
    total = estimate_rows(source, mapping)
    db.session.execute(update(ClientImport).where(ClientImport.id == import_id).values(rows_total=total))
    db.session.commit()
    return row.rows_done, total
