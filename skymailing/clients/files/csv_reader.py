"""Read CSV files row by row, with any common encoding and separator."""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, NamedTuple

from skymailing.clients.files.encodings import REPLACEMENT, detect_encoding

MAX_LINE_LENGTH = 64 * 1024  # characters in one physical line
MAX_RECORD_LENGTH = 64 * 1024  # characters in one record, including quoted line breaks
MAX_RECORD_LINES = 200
SAMPLE_SIZE = 64 * 1024  # bytes that must contain the header row
SEPARATORS = (",", ";", "\t", "|")
BLANK = " \t\r\n,;|\0\ufeff"  # characters of an empty line
BACKSLASH = "\\"


class RecordFault(StrEnum):
    """The reason why lines of a file do not form a valid row; stored with rejected rows."""

    OPEN_QUOTE = "open_quote"
    LINE_TOO_LONG = "line_too_long"
    UNREADABLE = "unreadable"


class Record(NamedTuple):
    """One row, and the number of its first physical line, from 1; `fault` is set if the row is invalid."""

    line: int
    cells: list[str]
    fault: RecordFault | None = None


class LineTooLong(Exception):
    """A physical line exceeds the length limit."""


class RecordTooLong(Exception):
    """Quoted text exceeds the limits of a record: the closing quote is missing."""


class Lines:
    """The physical lines of a file for `csv.reader`; lines can be pushed back and read again."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._pushed_back: deque[str] = deque()
        self.next_number = 1
        self.record: list[str] = []
        self.has_unreadable = False  # in the current record
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
        if REPLACEMENT in line:
            self.has_unreadable = True
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
        self.has_unreadable = False
        self._length = 0
        return self.next_number

    def push_back_all_but_first(self) -> str:
        """Push back all lines of the record except the first; return the first."""
        first, *others = self.record
        self._pushed_back.extendleft(reversed(others))
        self.next_number -= len(others)
        return first


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the cells of a file are separated and quoted."""

    separator: str
    # Spaces between a separator and a quotation mark, as in `a, "b"`.
    has_spaced_quotes: bool = False
    # The first line declares the separator, such as `sep=;` (Excel).
    has_hint: bool = False

    def read(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Return a strict reader of the lines."""
        return csv.reader(
            lines, delimiter=self.separator, skipinitialspace=self.has_spaced_quotes, strict=True
        )

    def read_leniently(self, line: str) -> list[str] | None:
        """Return the cells of a line that breaks the rules in a known way; None if the way is unknown."""
        if BACKSLASH + '"' in line:  # MySQL and PHP escape quotation marks with a backslash
            with suppress(csv.Error):
                reader = csv.reader(
                    [line], delimiter=self.separator, escapechar=BACKSLASH, doublequote=False, strict=True
                )
                return next(reader, [])
        if line.count('"') % 2 == 0:  # a quotation mark inside a cell
            return next(csv.reader([line], delimiter=self.separator), [])
        return None


def read_records(source: BinaryIO, encoding: str | None = None) -> Iterator[Record]:
    """Yield the non-blank rows of a CSV file, the header first; memory use is constant.

    `source` must be seekable and is read from its start. A file whose first SAMPLE_SIZE bytes are
    blank has no rows. Without `encoding`, the most plausible one is used.
    """
    encoding = encoding or detect_encoding(source).encoding
    source.seek(0)
    if encoding == "utf-8":
        encoding = "utf-8-sig"  # the byte order mark is optional
    elif encoding == "utf-16" and source.read(2) not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16-le"  # Python requires the mark
    source.seek(0)
    sample = source.read(SAMPLE_SIZE).decode(encoding, errors="replace")
    if not sample.strip(BLANK):
        return
    dialect = detect_dialect(sample)
    source.seek(0)
    text = io.TextIOWrapper(source, encoding, errors="replace", newline="")
    lines = Lines(text)
    if dialect.has_hint:
        next(lines)
    try:
        for record in assemble_records(lines, dialect):
            if record.fault or "".join(record.cells).strip():
                yield record
    finally:
        if not source.closed:
            text.detach()  # keep the caller's file open


def assemble_records(lines: Lines, dialect: Dialect) -> Iterator[Record]:
    """Join physical lines into records; after a broken record, continue with its second line."""
    while True:
        start = lines.begin_record()
        try:
            for cells in dialect.read(lines):
                yield Record(start, cells, RecordFault.UNREADABLE if lines.has_unreadable else None)
                start = lines.begin_record()
            return
        except LineTooLong:
            yield Record(start, [lines.record[0][:500]], RecordFault.LINE_TOO_LONG)
        except (csv.Error, RecordTooLong):
            yield salvage_record(start, lines, dialect)


def salvage_record(start: int, lines: Lines, dialect: Dialect) -> Record:
    """Return a record for invalid CSV lines; a row that continues on the next line remains invalid."""
    was_one_line = len(lines.record) == 1
    first = lines.push_back_all_but_first()
    if was_one_line or BACKSLASH + '"' in first:
        cells = dialect.read_leniently(first)
        if cells is not None:
            fault = RecordFault.UNREADABLE if any(REPLACEMENT in cell for cell in cells) else None
            return Record(start, cells, fault)
    return Record(start, [first.rstrip("\r\n")[:500]], RecordFault.OPEN_QUOTE)


def detect_dialect(sample: str) -> Dialect:
    """Return how the cells in the first lines of a file are separated and quoted."""
    first = next(iter(sample.splitlines()), "").strip().lower()
    if first.startswith("sep=") and len(first) == 5:
        return Dialect(first[4], has_spaced_quotes(sample, first[4]), has_hint=True)
    header = next((line for line in sample.splitlines() if line.strip(" ,;|\t")), "")
    counts = {separator: len(next(csv.reader([header], delimiter=separator))) for separator in SEPARATORS}
    separator = max(SEPARATORS, key=lambda separator: counts[separator])
    return Dialect(separator, has_spaced_quotes(sample, separator))


def has_spaced_quotes(sample: str, separator: str) -> bool:
    """Return whether any quoted cell follows a separator and spaces."""
    mark = re.escape(separator)
    return re.search(rf'{mark} +"[^"\r\n]*" *(?:{mark}|[\r\n]|$)', sample) is not None
