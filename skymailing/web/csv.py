"""CSV files for spreadsheets: streamed, and safe against formula injection."""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flask import Response, stream_with_context

# A spreadsheet reads a cell that begins with one of these as a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
ROWS_PER_CHUNK = 500


def csv_safe(value: Any) -> Any:
    """Return a value that a spreadsheet shows as text and never runs; numbers stay numbers."""
    if isinstance(value, str) and is_escaped_or_formula(value):
        return "'" + value
    return value


def csv_restore(text: str) -> str:
    """Remove the apostrophe that `csv_safe` added; any other apostrophe stays."""
    return text[1:] if text.startswith("'") and is_escaped_or_formula(text) else text


def is_escaped_or_formula(text: str) -> bool:
    # Includes a formula behind apostrophes, so that `csv_restore` is the exact inverse of `csv_safe`.
    return text.lstrip("'").startswith(FORMULA_STARTS)


def stream_csv(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the rows as chunks of CSV text (RFC 4180) while they are read."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
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

    The request context stays open until the last row, so rows may come from its database session.
    """
    return Response(
        stream_with_context(itertools.chain([start], stream_csv(rows))),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )
