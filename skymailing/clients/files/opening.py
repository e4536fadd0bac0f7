"""Open any uploaded file as CSV: workbooks, archives, vCards and HTML tables are converted."""

import contextlib
import csv
import io
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from skymailing.clients.files.archives import join_tables
from skymailing.clients.files.encodings import detect_encoding
from skymailing.clients.files.html_tables import read_table
from skymailing.clients.files.vcards import read_cards
from skymailing.clients.files.workbooks import UnusableWorkbook, check_archive, convert_workbook

ZIP, OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
HTML_SIZE = 32 << 20  # bytes; HTML is read as a whole


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A CSV file, its encoding if known, and the names of the sheet or files that it was converted from."""

    file: BinaryIO
    encoding: str | None = None
    note: str = ""


@contextmanager
def open_file(source: BinaryIO) -> Iterator[OpenedFile]:
    """Provide the file itself if it is CSV, otherwise a converted copy; raises UnusableWorkbook."""
    opened = convert_file(source)
    try:
        yield opened
    finally:
        if opened.file is not source:
            opened.file.close()


def convert_file(source: BinaryIO) -> OpenedFile:
    """Return the file itself if it is CSV, or else a converted copy that must be closed."""
    source.seek(0)
    start = source.read(1024)
    source.seek(0)
    if start.startswith(ZIP):
        return open_archive(source)
    if start.startswith(OLD_EXCEL):
        return open_workbook(source)
    text = start.decode("utf-8-sig", errors="replace").replace("\0", "").lstrip().lower()
    if text.startswith("begin:vcard"):
        lines = io.TextIOWrapper(source, detect_encoding(source).encoding, errors="replace")
        source.seek(0)
        try:
            return write_table(read_cards(lines))
        finally:
            lines.detach()  # keep the caller's file open
    if text.startswith(("<html", "<!doctype html", "<table", "<meta", "<?xml", "<div", "<style")):
        source.seek(0)
        content = source.read(HTML_SIZE)
        encoding = detect_encoding(io.BytesIO(content)).encoding
        return write_table(read_table(content.decode(encoding, errors="replace")))
    return OpenedFile(source)


def open_archive(source: BinaryIO) -> OpenedFile:
    """Return the sheet of a workbook, or the joined CSV files of an archive; raises UnusableWorkbook."""
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise UnusableWorkbook("import_workbook_unreadable") from error
    names = set(archive.namelist())
    if "[Content_Types].xml" in names or "mimetype" in names or any(name.startswith("xl/") for name in names):
        check_archive(archive)
        return open_workbook(source)
    files, rows = join_tables(archive)
    return write_table(rows, ", ".join(files))


def open_workbook(source: BinaryIO) -> OpenedFile:
    file, sheet = convert_workbook(source)
    return OpenedFile(cast(BinaryIO, file), "utf-8", sheet)


def write_table(rows: Iterable[list[str]], note: str = "") -> OpenedFile:
    """Write the rows to a temporary CSV file."""
    binary: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=8 << 20)  # noqa: SIM115 - the caller reads it
    text = io.TextIOWrapper(cast(BinaryIO, binary), "utf-8", errors="replace", newline="")
    with contextlib.ExitStack() as on_error:
        on_error.callback(text.close)
        csv.writer(text).writerows(rows)
        text.detach()  # writes the rest; the file remains open for the caller
        on_error.pop_all()
    binary.seek(0)
    return OpenedFile(cast(BinaryIO, binary), "utf-8", note)
