"""Parse IDs and page numbers in URLs, queries and forms.

For a number that the key's column cannot hold, PostgreSQL raises an error instead of finding no row. Every
ID from outside is therefore parsed here.
"""

from typing import Any

from flask import abort, request
from werkzeug.routing import IntegerConverter

from skymailing.db.engine import LARGEST_BIG_ID, LARGEST_ID


class IdConverter(IntegerConverter):
    """<int:...> in URLs: 404 for a number that no Integer key can hold."""

    largest = LARGEST_ID

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"max": self.largest, **options})


class BigIdConverter(IdConverter):
    """<big:...> in URLs: like IdConverter, for tables with BigInteger keys."""

    largest = LARGEST_BIG_ID


def parse_big_id(text: str) -> int:
    """Return the ID in a query or form (for the `type` argument of `MultiDict.get`).

    Raises ValueError for a number that no key can hold.
    """
    number = int(text)
    if abs(number) > LARGEST_BIG_ID:
        raise ValueError("too large for any key")
    return number


def parse_id(text: str) -> int:
    """Return the ID of a row with an Integer key, like `parse_big_id`."""
    number = int(text)
    if abs(number) > LARGEST_ID:
        raise ValueError("too large for the key")
    return number


def read_id(text: object, largest: int = LARGEST_ID) -> int:
    """Return the ID in a query or form; 0, which is never an ID, if the text is not a valid ID."""
    text = str(text)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(largest))):
        return 0
    return number if (number := int(text)) <= largest else 0


def read_selected_ids(limit: int) -> list[int]:
    """Return the IDs in the request's `id` fields, without duplicates, at most `limit`."""
    ids = map(read_id, request.values.getlist("id"))
    return list(dict.fromkeys(id for id in ids if id))[:limit]


def read_page_number() -> int:
    """Return the `page` in the query, by default 1; abort with 404 if it is not a number."""
    text = request.args.get("page", "1")
    # Accept one spelling per number, so that each page has one URL.
    if not (text.isascii() and text.isdigit() and len(text) < 7 and not text.startswith("0")):
        abort(404)
    return int(text)
