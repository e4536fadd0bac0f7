"""Paginate lists with a cursor, without totals, which would take longer to count than to read a page."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select

from skymailing.api.problems import ApiError
from skymailing.db.pagination import Order, fetch_rows, read_cursor, unwrap, write_cursor

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list, and the cursor of the next one if there is one."""

    items: list[Any]
    next: str | None


def list_after(statement: Select[Any], order: Order, after: str | None, limit: int) -> Listing:
    """Return the rows after a cursor; raises ApiError for an invalid cursor.

    Pages for people show the first rows instead, but a program would then read the first page forever.
    """
    position = read_cursor(after, order) if after else None
    if after and (position is None or position.is_backward):
        raise ApiError(422, "cursor_invalid")
    rows = fetch_rows(statement, order, position, limit + 1)
    has_more = len(rows) > limit
    rows = rows[:limit]
    cursor = write_cursor(order, rows[-1], is_backward=False) if has_more else None
    return Listing(unwrap(rows, statement), cursor)
