"""CSV files for spreadsheets: streamed, and with nothing in them that a spreadsheet would run."""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flask import Response, stream_with_context

# A cell that begins with one of these is a formula to a spreadsheet (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
ROWS_PER_CHUNK = 500


def csv_safe(value: Any) -> Any:
    """Return a value that a spreadsheet shows and never runs; numbers stay numbers."""
    if isinstance(value, str) and is_marked_or_formula(value):
        return "'" + value
    return value


def csv_restore(text: str) -> str:
    """Take off the apostrophe that `csv_safe` put before a formula, and no other."""
    return text[1:] if text.startswith("'") and is_marked_or_formula(text) else text


def is_marked_or_formula(text: str) -> bool:
    # Also with apostrophes of its own before it, so that taking one off is exactly the way back.
    return text.lstrip("'").startswith(FORMULA_STARTS)


def stream_csv(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Return the rows as pieces of CSV text (RFC 4180), made as they are read."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for number, row in enumerate(rows, 1):
        writer.writerow([csv_safe(value) for value in row])
        if number % ROWS_PER_CHUNK == 0:
            yield take(buffer)
    yield take(buffer)


def take(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def csv_response(rows: Iterable[Sequence[Any]], filename: str, start: str = "") -> Response:
    """Return a download of the rows after `start`; `filename` is ASCII.

    Rows may come from the request's own database session: its context stays until the last one.
    """
    return Response(
        stream_with_context(itertools.chain([start], stream_csv(rows))),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )
