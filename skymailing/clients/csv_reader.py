"""Reading CSV files as people have them: any of the usual encodings and separators, row by row."""

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from flask_babel import lazy_gettext as _l

MAX_LINE_LENGTH = 64 * 1024  # characters of one physical line
MAX_RECORD_LENGTH = 64 * 1024  # characters of one record, its quoted line breaks included
MAX_RECORD_LINES = 200
SAMPLE_SIZE = 64 * 1024  # bytes that must hold the header row
CHUNK_SIZE = 64 * 1024
SEPARATORS = (",", ";", "\t")
REPLACEMENT = "\ufffd"
BLANK = " \t\r\n,;\0\ufeff"  # what a line without anything in it consists of


class RecordFault(StrEnum):
    """Why some lines of a file are not a row of the table."""

    OPEN_QUOTE = "open_quote"
    LINE_TOO_LONG = "line_too_long"
    UNREADABLE = "unreadable"


RECORD_FAULTS = {
    RecordFault.OPEN_QUOTE: _l(
        "A quotation mark is opened and not closed, or is not doubled inside the text."
    ),
    RecordFault.LINE_TOO_LONG: _l("The row is too long."),
    RecordFault.UNREADABLE: _l("The row has letters that cannot be read in the file's encoding."),
}


@dataclass(frozen=True, slots=True)
class Record:
    """One row and the physical line where it starts, counted from 1; `fault` when it is not one."""

    line: int
    cells: list[str]
    fault: RecordFault | None = None


class LineTooLong(Exception):
    """A physical line is longer than any row may be."""


class RecordTooLong(Exception):
    """A quoted text goes on and on: its closing mark is missing."""


class Lines:
    """The physical lines of a text for `csv.reader`, which can be taken back to be read anew."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._pushed_back: deque[str] = deque()
        self.next_number = 1
        self.record: list[str] = []
        self._length = 0

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        if len(self.record) >= MAX_RECORD_LINES or self._length > MAX_RECORD_LENGTH:
            raise RecordTooLong
        line = self._pushed_back.popleft() if self._pushed_back else self._text.readline(MAX_LINE_LENGTH)
        if not line:
            raise StopIteration
        self.next_number += 1
        self.record.append(line)
        self._length += len(line)
        if len(line) >= MAX_LINE_LENGTH and not line.endswith(("\n", "\r")):
            self._skip_rest_of_line()
            raise LineTooLong
        return line

    def _skip_rest_of_line(self) -> None:
        while part := self._text.readline(MAX_LINE_LENGTH):
            if part.endswith(("\n", "\r")):
                return

    def begin_record(self) -> int:
        """Forget the lines of the last record; return the number of the next line."""
        self.record = []
        self._length = 0
        return self.next_number

    def keep_first_line_only(self) -> str:
        """Give back all lines of the record but the first, which is returned."""
        first, *others = self.record
        self._pushed_back.extendleft(reversed(others))
        self.next_number -= len(others)
        return first


def read_records(source: BinaryIO) -> Iterator[Record]:
    """Yield the rows of a CSV file, the header first, blank ones left out; memory stays constant.

    `source` is read from its start and must be seekable. One that does not begin with its header row,
    but for a few blank lines, has no rows.
    """
    encoding = detect_encoding(source)
    source.seek(0)
    if not source.read(SAMPLE_SIZE).decode(encoding, errors="replace").strip(BLANK):
        return
    separator, has_hint = detect_separator(source, encoding)
    source.seek(0)
    text = io.TextIOWrapper(source, encoding, errors="replace", newline="")
    lines = Lines(text)
    if has_hint:
        next(lines)
    try:
        for record in assemble_records(lines, separator):
            if record.fault or any(cell.strip() for cell in record.cells):
                yield record
    finally:
        if not source.closed:
            text.detach()  # the caller's file stays open


def assemble_records(lines: Lines, separator: str) -> Iterator[Record]:
    """Join physical lines to records; after a broken one go on at its second line."""
    while True:
        reader = csv.reader(lines, delimiter=separator, strict=True)
        start = lines.begin_record()
        try:
            for cells in reader:
                fault = RecordFault.UNREADABLE if any(REPLACEMENT in cell for cell in cells) else None
                yield Record(start, cells, fault)
                start = lines.begin_record()
            return
        except LineTooLong:
            yield Record(start, [lines.record[0][:500]], RecordFault.LINE_TOO_LONG)
        except (csv.Error, RecordTooLong):
            yield salvage_record(start, lines, separator)


def salvage_record(start: int, lines: Lines, separator: str) -> Record:
    """Return what can be made of a record that is not CSV: only a quote in mid-text is forgiven."""
    was_one_line = len(lines.record) == 1
    first = lines.keep_first_line_only()
    if was_one_line and first.count('"') % 2 == 0:
        cells = next(csv.reader([first], delimiter=separator), [])
        return Record(start, cells)
    return Record(start, [first.rstrip("\r\n")[:500]], RecordFault.OPEN_QUOTE)


def detect_encoding(source: BinaryIO) -> str:
    """Return the encoding: by its mark, else UTF-8 when it can be, else Windows Cyrillic."""
    source.seek(0)
    start = source.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"  # "Unicode text" of Excel
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    source.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    broken = foreign = 0
    while chunk := source.read(CHUNK_SIZE):
        text = decoder.decode(chunk)
        if not text.isascii():
            broken += text.count(REPLACEMENT)
            foreign += len(text) - len(text.encode("ascii", errors="ignore"))
    # A few broken bytes in a UTF-8 file spoil their rows only, not all the others.
    return "utf-8" if broken * 10 <= foreign - broken else "cp1251"


def detect_separator(source: BinaryIO, encoding: str) -> tuple[str, bool]:
    """Return what stands between cells, and whether a first line `sep=;` (Excel's own hint) says so."""
    source.seek(0)
    sample = source.read(SAMPLE_SIZE).decode(encoding, errors="replace")
    first = next(iter(sample.splitlines()), "").strip().lower()
    if first.startswith("sep=") and len(first) == 5:
        return first[4], True
    header = next((line for line in sample.splitlines() if line.strip(" ,;\t")), "")
    counts = {separator: len(next(csv.reader([header], delimiter=separator))) for separator in SEPARATORS}
    return max(SEPARATORS, key=lambda separator: counts[separator]), False
