"""Create client imports from files, and find imports that have no worker."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO

from sqlalchemy import select

from skymailing.clients.cleaning import clean_text
from skymailing.clients.columns import ADDRESS, Columns, NoAddressColumn, Rows
from skymailing.clients.files.csv_reader import Record, RecordFault, read_records
from skymailing.clients.files.encodings import CHUNK_SIZE, detect_encoding
from skymailing.clients.files.opening import open_file
from skymailing.clients.mapping import Mapping, apply_mapping
from skymailing.clients.recipes import find_file_standing
from skymailing.db import leases
from skymailing.email_addresses import MARGIN
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import ClientImport, ImportState, UsageKind
from skymailing.quotas.checks import require_room, use
from skymailing.settings.quotas import quota_settings

MAX_ROWS = 1_000_000
MAX_LINES = 2 * MAX_ROWS  # including blank lines and line breaks in cells: reading each takes time
MAX_COLUMNS = 100  # non-empty ones
MAX_HEADERS = 1_000
SAMPLE_ROWS = 200  # read to recognize the columns

UNFINISHED_STATES = (ImportState.PENDING, ImportState.RUNNING)
# The first bytes of files that users mistake for CSV: .xlsx and other office files, and .xls.
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


class UnusableFile(UserError):
    """The file as a whole cannot be imported, not just some of its rows."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file as CSV, with its mapping, and the names of the sheet or files that it was converted from."""

    file: BinaryIO
    mapping: Mapping
    note: str


@contextmanager
def open_any_file(source: BinaryIO, filename: str, mapping: Mapping) -> Iterator[Opened]:
    """Provide the file as CSV; its name may imply the standing of its rows. Raises UnusableWorkbook."""
    standing = find_file_standing(filename)
    if mapping.standing is None and standing is not None:
        mapping = replace(mapping, standing=standing.value)
    with open_file(source) as opened:
        if opened.encoding:
            mapping = replace(mapping, encoding=opened.encoding)
        yield Opened(opened.file, mapping, opened.note)


def open_table(source: BinaryIO, mapping: Mapping | None = None) -> tuple[Columns, Iterator[Record]]:
    """Return the columns of a CSV file and its rows; raises NoAddressColumn or UnusableFile.

    Columns that `mapping` does not describe are recognized.
    """
    source.seek(0)
    if source.read(4) in WORKBOOKS:
        raise UnusableFile("import_workbook")
    mapping = mapping or Mapping()
    records = read_records(source, mapping.encoding)
    header = next(records, None)
    if header is None:
        raise UnusableFile("import_empty")
    if header.fault and header.fault is not RecordFault.UNREADABLE:
        raise NoAddressColumn(header.cells)
    sample = list(itertools.islice(records, SAMPLE_ROWS))
    headers = header.cells
    if lacks_headers(header):
        sample.insert(0, header)
        headers = [""] * len(headers)
    headers = trim_columns(headers, [record.cells for record in sample])
    columns = apply_mapping(mapping, headers, [record.cells for record in sample if not record.fault])
    return columns, itertools.chain(sample, records)


def lacks_headers(first: Record) -> bool:
    """Return whether the first row contains an address and is therefore not a header row."""
    return any(ADDRESS.fullmatch(cell.strip(MARGIN)) for cell in first.cells)


def trim_columns(headers: list[str], rows: Rows) -> list[str]:
    """Return the headers up to the last non-empty column; raises UnusableFile."""
    filled = {i for row in rows for i, cell in enumerate(row[: len(headers)]) if cell.strip()}
    named = {i for i, header in enumerate(headers) if header.strip()}
    if (len(filled) if filled else len(named)) > MAX_COLUMNS or len(named) > MAX_HEADERS:
        raise UnusableFile("import_too_many_columns", limit=MAX_COLUMNS)
    return headers[: max(filled | named, default=-1) + 1]


@dataclass(frozen=True, slots=True)
class Table:
    """The headers of a file, and the mapping to read it with."""

    headers: list[str]
    mapping: Mapping
    recipe: str = ""


def inspect_table(source: BinaryIO, mapping: Mapping | None = None) -> Table:
    """Check a CSV file and return its headers and mapping; raises NoAddressColumn or UnusableFile."""
    check_length(source)
    mapping = mapping or Mapping()
    if mapping.encoding is None:
        mapping = replace(mapping, encoding=detect_encoding(source).encoding)
    columns, _rows = open_table(source, mapping)
    mapping = replace(mapping, fields=tuple(columns.fields), standing=columns.standing.value)
    return Table([clean_text(header) for header in columns.headers], mapping, columns.recipe)


def create_import(owner_id: int, filename: str, table: Table, content: bytes | None = None) -> ClientImport:
    """Create an import of a file (`inspect_table`) and return it.

    With `content` any worker can run the import; without it, only the process that has the file open.
    """
    import_ = ClientImport(
        owner_id=owner_id,
        filename=clean_text(filename)[-255:],
        content=content,
        headers=table.headers,
        mapping=table.mapping.dump(),
    )
    db.session.add(import_)
    db.session.flush()
    return import_


def check_length(source: BinaryIO) -> None:
    """Raise UnusableFile for a file with so many lines that reading them would take minutes."""
    if count_lines(source) > MAX_LINES:
        raise UnusableFile("import_too_many_rows")


def count_lines(source: BinaryIO) -> int:
    """Return the number of line endings in a file, of any kind."""
    source.seek(0)
    line_feeds = returns = 0
    while chunk := source.read(CHUNK_SIZE):
        line_feeds += chunk.count(b"\n")
        returns += chunk.count(b"\r")
    return max(line_feeds, returns)


def find_stalled_imports(now: datetime) -> list[int]:
    """Return the IDs of unfinished imports without a worker: the hint was lost, or the worker died."""
    return list(
        db.session.scalars(
            select(ClientImport.id)
            .where(ClientImport.state.in_(UNFINISHED_STATES), leases.is_stalled(ClientImport, now))
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
    """Count a new import; raises LimitReached if too many are unfinished or were started within 24 hours."""
    check_unfinished(owner_id)
    use("import_limit", owner_id, UsageKind.IMPORTS, quota_settings().imports_per_day, 24, now)
