"""Stream CSV files for spreadsheets, safe against formula injection."""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flask import Response, stream_with_context

# A spreadsheet reads a cell that begins with one of these as a formula (OWASP, "CSV Injection"); in some
# languages, the full-width forms count too.
SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20"
# A spreadsheet that expects another separator, such as the semicolon in German or Russian, splits cells.
SEPARATORS = r",;|\t\r\n"
# A quotation mark after such a separator begins a quoted cell.
OPENING_QUOTES = r"['\"]*"
UNSAFE_SIGN = re.compile(
    rf"^(?={OPENING_QUOTES}[{SIGNS}\t\r\n])|(?<=[{SEPARATORS}])(?={OPENING_QUOTES}[{SIGNS}])"
)
ESCAPED_SIGN = re.compile(
    rf"^'(?={OPENING_QUOTES}[{SIGNS}\t\r\n])|(?<=[{SEPARATORS}])'(?={OPENING_QUOTES}[{SIGNS}])"
)
ROWS_PER_CHUNK = 500
BYTE_ORDER_MARK = "\ufeff"  # without it Excel reads UTF-8 as a Windows encoding


def csv_safe(value: Any) -> Any:
    """Return a value that a spreadsheet shows as text and never evaluates; numbers remain numbers.

    Inserts an apostrophe where a formula could begin, even in front of other apostrophes, so that
    `csv_restore` is the exact inverse.
    """
    return UNSAFE_SIGN.sub("'", value) if isinstance(value, str) else value


def csv_restore(text: str) -> str:
    """Remove only the apostrophes that `csv_safe` added."""
    return ESCAPED_SIGN.sub("", text)


def stream_csv(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the rows as chunks of CSV text (RFC 4180, with every cell quoted) while they are read."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    for number, row in enumerate(rows, 1):
        writer.writerow([csv_safe(value) for value in row])
        if number % ROWS_PER_CHUNK == 0:
            yield drain(buffer)
    yield drain(buffer)


def drain(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def csv_response(rows: Iterable[Sequence[Any]], filename: str, start: str = "") -> Response:
    """Return a download of `start` and the rows; `filename` is ASCII.

    The request context remains open until the last row, so rows may come from its database session.
    """
    return Response(
        stream_with_context(itertools.chain([start], stream_csv(rows))),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )
