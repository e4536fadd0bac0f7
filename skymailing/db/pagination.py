"""Keyset pagination: page 20,000 of a list takes as long as the first page.

A cursor identifies the row where a page begins or ends, not a number of rows to skip. Rows that are added or
deleted between two requests therefore do not make other rows appear twice or disappear.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask_babel import format_decimal
from sqlalchemy import BigInteger, ColumnElement, Select, and_, func, literal, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from skymailing.db.engine import LARGEST_BIG_ID, LARGEST_ID
from skymailing.extensions import db

PER_PAGE = 50
COUNT_LIMIT = 10_000
# Later pages have no number: jumping to one would read all the rows before it.
LAST_NUMBER = COUNT_LIMIT // PER_PAGE

Column = InstrumentedAttribute[Any] | ColumnElement[Any]
# (column, is descending). No column is ever NULL, and the last one is unique in the list.
Order = Sequence[tuple[Column, bool]]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, and the cursors of the next and previous page if there is one.

    An item is the selected entity, or a row if the statement selects several. The number counts from 1, and
    is approximate if rows were added or deleted while the user turned pages.
    """

    items: list[Any]
    next_cursor: str | None = None
    previous_cursor: str | None = None
    number: int = 1

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def count_if_single_page(self) -> "BoundedCount | None":
        """Return the number of rows in the list if this is the only page, otherwise None."""
        is_only = self.next_cursor is None and self.previous_cursor is None
        return BoundedCount(len(self), is_exact=True) if is_only else None

    def list_page_numbers(self, count: "BoundedCount") -> list[int | None]:
        """Return the numbers of the first, the last and the neighbouring pages, with None for a gap.

        The last page of a list that is too long to count has no number.
        """
        last = min(-(-count.number // PER_PAGE), LAST_NUMBER)
        wanted = {1, self.number - 1, self.number, self.number + 1} | ({last} if count.is_exact else set())
        numbers = sorted(number for number in wanted if 1 <= number <= last or number == self.number)
        shown: list[int | None] = []
        for before, number in zip([0, *numbers], numbers, strict=False):
            if number - before == 2:
                shown.append(number - 1)  # no gap for a single page
            elif number - before > 2:
                shown.append(None)
            shown.append(number)
        return shown if count.is_exact else [*shown, None]


@dataclass(frozen=True, slots=True)
class Position:
    """The values of the order's columns in one row, and whether to read backwards from it."""

    values: list[Any]
    is_backward: bool


def paginate(
    statement: Select[Any], order: Order, cursor: str | None, per_page: int = PER_PAGE, number: int = 1
) -> Page:
    """Return the page of `statement` at `cursor`; an invalid cursor gives the first page.

    Without a cursor, return the page with this number, if it is one of the first LAST_NUMBER.
    """
    position = read_cursor(cursor, order) if cursor else None
    skipped = (number - 1) * per_page if position is None and 1 < number <= LAST_NUMBER else 0
    rows = fetch_rows(statement.offset(skipped) if skipped else statement, order, position, per_page + 1)
    if (position or skipped) and (not rows or (position and position.is_backward and len(rows) <= per_page)):
        # There are no rows, or the previous page would be incomplete: show a full first page.
        position, skipped = None, 0
        rows = fetch_rows(statement, order, None, per_page + 1)
    has_more = len(rows) > per_page
    rows = rows[:per_page]
    if position and position.is_backward:
        rows.reverse()
    has_previous = has_more if position and position.is_backward else bool(position or skipped)
    has_next = True if position and position.is_backward else has_more
    return Page(
        items=unwrap(rows, statement),
        next_cursor=write_cursor(order, rows[-1], is_backward=False) if has_next else None,
        previous_cursor=write_cursor(order, rows[0], is_backward=True) if has_previous else None,
        number=max(number, 2) if has_previous else 1,
    )


def fetch_rows(statement: Select[Any], order: Order, position: Position | None, limit: int) -> list[Any]:
    is_backward = position is not None and position.is_backward
    directions = [descending != is_backward for _, descending in order]
    columns = [column for column, _ in order]
    if position:
        statement = statement.where(is_beyond(columns, directions, position.values))
    keys = [column.label(f"cursor_{number}") for number, column in enumerate(columns)]
    by = [
        column.desc() if descending else column.asc()
        for column, descending in zip(columns, directions, strict=True)
    ]
    statement = statement.add_columns(*keys).order_by(None).order_by(*by)
    return list(db.session.execute(statement.limit(limit)).all())


def is_beyond(columns: list[Column], directions: list[bool], values: list[Any]) -> ColumnElement[bool]:
    """Return the condition for the rows after the one with `values`."""
    typed = [literal(value, column.type) for value, column in zip(values, columns, strict=True)]
    if len(set(directions)) == 1:
        # Both databases read a row comparison with one index seek, but not an OR.
        here, there = tuple_(*columns), tuple_(*typed)
        return here < there if directions[0] else here > there
    steps = []
    for i, (column, descending) in enumerate(zip(columns, directions, strict=True)):
        beyond = column < typed[i] if descending else column > typed[i]
        same = [earlier == value for earlier, value in zip(columns[:i], typed[:i], strict=True)]
        steps.append(and_(*same, beyond))
    return or_(*steps)


def unwrap(rows: list[Any], statement: Select[Any]) -> list[Any]:
    """Return the entities of rows if the statement selects only one entity per row."""
    return [row[0] for row in rows] if len(statement.column_descriptions) == 1 else rows


def identify_order(order: Order) -> str:
    """Return a string that identifies the order, so that a cursor is valid for one order only."""
    return ",".join(f"{column.key}{'-' if descending else '+'}" for column, descending in order)


def write_cursor(order: Order, row: Any, *, is_backward: bool) -> str:
    # The order's columns come last in the row.
    values = [value.isoformat() if isinstance(value, datetime) else value for value in row[-len(order) :]]
    text = json.dumps([identify_order(order), is_backward, values], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, order: Order) -> Position | None:
    """Return the position of a cursor; None for an invalid one, because users edit and truncate URLs."""
    try:
        text = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
        signed, is_backward, values = json.loads(text)
        if signed != identify_order(order) or not isinstance(is_backward, bool) or len(values) != len(order):
            return None
        read = [read_value(value, column) for value, (column, _) in zip(values, order, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        return None
    return Position(read, is_backward)


def read_value(value: Any, column: Column) -> Any:
    """Return a cursor's value in the type of its column; raises ValueError."""
    # A TypeDecorator does not know its Python type; the type that it wraps does.
    expected = getattr(column.type, "impl_instance", column.type).python_type
    if expected is datetime:
        value = datetime.fromisoformat(value)
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        value = value.astimezone(UTC)
    if type(value) is not expected and not (isinstance(value, str) and issubclass(expected, str)):
        raise ValueError(f"not a {expected.__name__}")
    largest = LARGEST_BIG_ID if isinstance(column.type, BigInteger) else LARGEST_ID
    if isinstance(value, int) and abs(value) > largest:
        raise ValueError("too large for any key")
    if isinstance(value, str) and b"\0" in value.encode():  # encode() also rejects unpaired surrogates
        raise ValueError("a character that PostgreSQL does not store")
    return value


@dataclass(frozen=True, slots=True)
class BoundedCount:
    """A number of rows that is exact or a lower bound; shown as 9,999 or 10,000+."""

    number: int
    is_exact: bool

    def __str__(self) -> str:
        return f"{format_decimal(self.number)}{'' if self.is_exact else '+'}"


def count_up_to(statement: Select[Any], limit: int = COUNT_LIMIT) -> BoundedCount:
    """Count the rows of `statement` up to `limit`, so that no page has to count a million."""
    rows = statement.with_only_columns(literal(1), maintain_column_froms=True).order_by(None).limit(limit + 1)
    number = db.session.scalar(select(func.count()).select_from(rows.subquery())) or 0
    return BoundedCount(min(number, limit), is_exact=number <= limit)
