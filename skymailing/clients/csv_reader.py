"""Read CSV files row by row, with any of the usual encodings and separators."""

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

MAX_LINE_LENGTH = 64 * 1024  # characters in one physical line
MAX_RECORD_LENGTH = 64 * 1024  # characters in one record, including quoted line breaks
MAX_RECORD_LINES = 200
SAMPLE_SIZE = 64 * 1024  # bytes that must contain the header row
CHUNK_SIZE = 64 * 1024
SEPARATORS = (",", ";", "\t")
REPLACEMENT = "\ufffd"
BLANK = " \t\r\n,;\0\ufeff"  # characters of an empty line


class RecordFault(StrEnum):
    """Why lines of a file do not form a valid row; stored with rejected rows."""

    OPEN_QUOTE = "open_quote"
    LINE_TOO_LONG = "line_too_long"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Record:
    """One row, and the number of its first physical line, from 1; `fault` is set if the row is invalid."""

    line: int
    cells: list[str]
    fault: RecordFault | None = None


class LineTooLong(Exception):
    """A physical line exceeds the length limit."""


class RecordTooLong(Exception):
    """Quoted text exceeds the limits of a record: the closing quote is missing."""


class Lines:
    """The physical lines of a text for `csv.reader`; lines can be pushed back and read again."""

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
        """Start a new record; return the number of the next line."""
        self.record = []
        self._length = 0
        return self.next_number

    def push_back_all_but_first(self) -> str:
        """Push back all lines of the record except the first; return the first."""
        first, *others = self.record
        self._pushed_back.extendleft(reversed(others))
        self.next_number -= len(others)
        return first


def read_records(source: BinaryIO) -> Iterator[Record]:
    """Yield the non-blank rows of a CSV file, the header first; memory use is constant.

    `source` must be seekable and is read from its start. A file whose first SAMPLE_SIZE bytes are
    blank has no rows.
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
            text.detach()  # leave the caller's file open


def assemble_records(lines: Lines, separator: str) -> Iterator[Record]:
    """Join physical lines into records; after a broken record, continue with its second line."""
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
    """Return a record for invalid CSV lines; the only accepted fault is a quotation mark inside a cell."""
    was_one_line = len(lines.record) == 1
    first = lines.push_back_all_but_first()
    if was_one_line and first.count('"') % 2 == 0:
        cells = next(csv.reader([first], delimiter=separator), [])
        return Record(start, cells)
    return Record(start, [first.rstrip("\r\n")[:500]], RecordFault.OPEN_QUOTE)


def detect_encoding(source: BinaryIO) -> str:
    """Return the encoding: from the byte order mark, else UTF-8 if it fits, else Windows Cyrillic."""
    source.seek(0)
    start = source.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"  # Excel: "Unicode text"
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    source.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    broken = non_ascii = 0
    while chunk := source.read(CHUNK_SIZE):
        text = decoder.decode(chunk)
        if not text.isascii():
            broken += text.count(REPLACEMENT)
            non_ascii += len(text) - len(text.encode("ascii", errors="ignore"))
    # A few broken bytes in a UTF-8 file must affect only their own rows.
    return "utf-8" if broken * 10 <= non_ascii - broken else "cp1251"


def detect_separator(source: BinaryIO, encoding: str) -> tuple[str, bool]:
    """Return the separator, and whether the first line declares it, such as `sep=;` (Excel's hint)."""
    source.seek(0)
    sample = source.read(SAMPLE_SIZE).decode(encoding, errors="replace")
    first = next(iter(sample.splitlines()), "").strip().lower()
    if first.startswith("sep=") and len(first) == 5:
        return first[4], True
    header = next((line for line in sample.splitlines() if line.strip(" ,;\t")), "")
    counts = {separator: len(next(csv.reader([header], delimiter=separator))) for separator in SEPARATORS}
    return max(SEPARATORS, key=lambda separator: counts[separator]), False
