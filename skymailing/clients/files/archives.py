"""Join the CSV files of a ZIP archive into one table."""

import io
import zipfile
import zlib
from collections.abc import Iterator

from skymailing.clients.files.csv_reader import Record, read_records
from skymailing.clients.files.workbooks import UnusableWorkbook, check_archive
from skymailing.clients.recipes import STATUS_COLUMN, find_file_standing, find_recipe
from skymailing.clients.statuses import Standing

MAX_FILES = 20
MAX_BYTES = 128 << 20  # unpacked
EXTENSIONS = (".csv", ".tsv", ".txt")
# Errors that zipfile raises for a damaged member, or for an unknown encryption or compression (RuntimeError).
UNREADABLE = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError)
# The words that label rows of the joined table by the kind of their file.
WORDS = {
    Standing.MAILABLE: "subscribed",
    Standing.UNSUBSCRIBED: "unsubscribed",
    Standing.BOUNCED: "cleaned",
    Standing.SKIPPED: "nonsubscribed",
}


def list_tables(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the archive's CSV files; raises UnusableWorkbook."""
    members = [
        member
        for member in archive.infolist()
        if member.filename.lower().endswith(EXTENSIONS) and not member.filename.startswith("__MACOSX")
    ]
    if not members:
        raise UnusableWorkbook("import_archive_empty")
    if len(members) > MAX_FILES or sum(member.file_size for member in members) > MAX_BYTES:
        raise UnusableWorkbook("import_workbook_too_large")
    return members


def join_tables(archive: zipfile.ZipFile) -> tuple[list[str], Iterator[list[str]]]:
    """Return the names of the CSV files and the rows of all of them, headers first.

    The first column shows the kind of file that each row comes from: subscribed people, unsubscribed ones,
    ... Raises UnusableWorkbook.
    """
    check_archive(archive)
    members = list_tables(archive)
    headers: dict[str, None] = {}
    for member in members:
        header = next(read_member(archive, member), None)
        headers |= dict.fromkeys(header.cells if header else [])
    names = [member.filename for member in members]
    return names, join_rows(archive, members, list(headers))


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[Record]:
    """Yield the rows of a file; raises UnusableWorkbook."""
    try:
        with archive.open(member) as file:
            content = file.read(MAX_BYTES)
    except UNREADABLE as error:
        raise UnusableWorkbook("import_workbook_unreadable") from error
    return read_records(io.BytesIO(content))


def join_rows(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], headers: list[str]
) -> Iterator[list[str]]:
    """Yield the headers and the rows, with the cells of each file in the right columns."""
    yield [STATUS_COLUMN, *headers]
    for member in members:
        records = read_member(archive, member)
        first = next(records, None)
        if first is None:
            continue
        recipe = find_recipe(first.cells)
        standing = find_file_standing(member.filename)
        if standing is None:
            standing = recipe.standing if recipe else Standing.MAILABLE
        positions = [headers.index(header) for header in first.cells]
        for record in records:
            cells = [""] * len(headers)
            for position, cell in zip(positions, record.cells, strict=False):
                cells[position] = cell
            yield [WORDS[standing], *cells, *record.cells[len(positions) :]]
