"""Create client imports from files, and find imports that have no worker."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import BinaryIO

from sqlalchemy import and_, or_, select

from skymailing.clients.cleaning import clean_text
from skymailing.clients.columns import Columns, recognize_columns
from skymailing.clients.csv_reader import CHUNK_SIZE, Record, read_records
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import ClientImport, ImportState, UsageKind
from skymailing.quotas.checks import require_room, use
from skymailing.settings.quotas import quota_settings

MAX_ROWS = 1_000_000
MAX_LINES = 2 * MAX_ROWS  # including blank lines and line breaks in cells: reading each takes time
MAX_COLUMNS = 100
HINT_DELAY = timedelta(seconds=15)  # how long a hint may take before the sweep repeats it

UNFINISHED_STATES = (ImportState.PENDING, ImportState.RUNNING)
# The first bytes of files that users mistake for CSV: .xlsx and other office files, and .xls.
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


class UnusableFile(UserError):
    """The file as a whole cannot be imported, not just some of its rows."""


def open_table(source: BinaryIO) -> tuple[Columns, Iterator[Record]]:
    """Return the columns of a CSV file and its rows; raises NoAddressColumn or UnusableFile."""
    source.seek(0)
    if source.read(4) in WORKBOOKS:
        raise UnusableFile("import_workbook")
    records = read_records(source)
    header = next(records, None)
    if header is None:
        raise UnusableFile("import_empty")
    if len(header.cells) > MAX_COLUMNS:
        raise UnusableFile("import_too_many_columns", limit=MAX_COLUMNS)
    return recognize_columns(header.cells), records


def read_headers(source: BinaryIO) -> list[str]:
    """Check an uploaded file and return its headers; raises NoAddressColumn or UnusableFile."""
    check_length(source)
    columns, _rows = open_table(source)
    return [clean_text(header) for header in columns.headers]


def create_import(
    owner_id: int, filename: str, headers: list[str], content: bytes | None = None
) -> ClientImport:
    """Create an import of a file with these headers (`read_headers`) and return it.

    With `content` any worker can run the import; without it, only the process that has the file open.
    """
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
            raise UnusableFile("import_too_many_rows")


def find_stalled_imports(now: datetime) -> list[int]:
    """Return the IDs of unfinished imports without a worker: the hint was lost, or the worker died."""
    return list(
        db.session.scalars(
            select(ClientImport.id)
            .where(
                ClientImport.state.in_(UNFINISHED_STATES),
                or_(
                    ClientImport.lease_until < now,
                    and_(ClientImport.lease_until.is_(None), ClientImport.updated_at < now - HINT_DELAY),
                ),
            )
            .order_by(ClientImport.id)
        )
    )


def check_unfinished(owner_id: int) -> None:
    """Raise LimitReached if too many of the owner's imports are unfinished."""
    unfinished = select(ClientImport.id).where(
        ClientImport.owner_id == owner_id, ClientImport.state.in_(UNFINISHED_STATES)
    )
    require_room("import_limit_unfinished", unfinished, quota_settings().unfinished_imports)


def check_limits(owner_id: int, now: datetime) -> None:
    """Count a new import; raises LimitReached if too many are unfinished, or were begun in 24 hours."""
    check_unfinished(owner_id)
    use("import_limit", owner_id, UsageKind.IMPORTS, quota_settings().imports_per_day, 24, now)
