"""Read rows for the export in chunks, and convert their values to the form used in JSON and CSV files."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from skymailing.extensions import db
from skymailing.mailings.log_queries import format_time

CHUNK = 1000  # rows per transaction


def to_text(value: Any) -> Any:
    """Convert a value to its form in JSON and CSV files."""
    if isinstance(value, datetime):
        return format_time(value)
    return value.value if isinstance(value, Enum) else str(value)


def read_in_chunks(statement: Select[Any], key: ColumnElement[Any], last: int | str = 0) -> Iterator[Any]:
    """Yield the rows of a statement after `last`, ordered by `key`, which must be its first column."""
    while True:
        chunk = statement.where(key > last).order_by(key).limit(CHUNK)
        rows = db.session.execute(chunk).all()
        db.session.rollback()
        yield from rows
        if len(rows) < CHUNK:
            return
        last = rows[-1][0]


def to_dict(row: Any) -> dict[str, Any]:
    """Return a row as a JSON object."""
    return dict(row._mapping)


def cells(row: Sequence[Any], start: int = 1) -> list[Any]:
    """Convert a row, without its key, to the cells of a CSV row."""
    return [to_text(value) if isinstance(value, datetime | Enum) else value for value in row[start:]]


def read_own(model: Any, user_id: int, *names: str) -> Iterator[dict[str, Any]]:
    """Yield the given columns of the user's rows."""
    table = model.__table__.c
    columns = [table[name] for name in ("id", *names, "created_at", "updated_at")]
    return map(to_dict, read_in_chunks(select(*columns).where(table.owner_id == user_id), table.id))
