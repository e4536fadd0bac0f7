"""Sort the list of clients by values that have no index: custom fields, and the last change, email and click.

The values of all clients found are computed for each page, so only lists of limited length are
sorted. Clients without a value come last in both directions.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Integer, String, case, func, literal, select

from skymailing.clients.attribute_types import infer_type
from skymailing.clients.filters import FoundClients
from skymailing.clients.known_fields import SAMPLE
from skymailing.clients.last_contacts import select_last_click, select_last_email
from skymailing.clients.list_columns import ATTRIBUTE, LAST
from skymailing.db.pagination import Order, Page, count_up_to, paginate
from skymailing.db.time_limit import limit_time
from skymailing.delivery.audience.typed_values import date_of, number_of, text_of, yes_no_of
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AttributeType, Client, User

MAX_SORTED = 50_000
MAX_SORTED_BY_LETTERS = 10_000  # all letters of these clients are read
SECONDS = 3.0  # time limit for sorting: clients may have many letters
SORTED_LENGTH = 100  # characters of a text; a cursor contains them
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
FIRST: dict[type, Any] = {int: 0, float: 0.0, str: "", datetime: EARLIEST}


class TooManyToSort(UserError):
    """The list has more clients than can be sorted by a value without an index."""

    def __init__(self, limit: int) -> None:
        super().__init__("clients_too_many_to_sort", limit=limit)
        self.limit = limit


def find_sorted(found: FoundClients, owner: User, key: str, cursor: str | None, number: int) -> Page:
    """Return a page of the clients found, in the order of a column; "-" before its key reverses the order.

    Raises TooManyToSort or TookTooLong.
    """
    column, is_descending = key.removeprefix("-"), key.startswith("-")
    limit = MAX_SORTED_BY_LETTERS if column in LAST else MAX_SORTED
    with limit_time(SECONDS):
        if not count_up_to(found.statement, limit).is_exact:
            raise TooManyToSort(limit)
        values = _compute_values(found, _find_value(owner, column))
        page = paginate(select(values.c.id), _make_order(values, key, is_descending), cursor, number=number)
    clients = db.session.scalars(select(Client).where(Client.id.in_(page.items)))
    by_id = {client.id: client for client in clients}
    return replace(page, items=[by_id[id] for id in page if id in by_id])


def _compute_values(found: FoundClients, value: ColumnElement[Any]) -> CTE:
    """Return the IDs and values of the clients; materialized, so that each value is computed only once."""
    own = (Client.owner_id == found.owner_id) & found.condition
    return select(Client.id, value.label("value")).where(own).cte("found").prefix_with("MATERIALIZED")


def _make_order(values: CTE, key: str, is_descending: bool) -> Order:
    value = values.c.value
    expected = getattr(value.type, "impl_instance", value.type).python_type
    first = func.coalesce(value, literal(FIRST[expected], value.type), type_=value.type)
    is_missing = case((value.is_(None), 1), else_=0).cast(Integer)
    # The labels are part of cursors, so that a cursor of another column is not valid.
    return [(is_missing.label("is_missing"), False), (first.label(key), is_descending), (values.c.id, False)]


def _find_value(owner: User, column: str) -> ColumnElement[Any]:
    """Return the value by which a column is sorted; NULL if a client has none."""
    match column:
        case "changed":
            return Client.updated_at.expression
        case "last_email":
            return select_last_email(owner.id)
        case "last_click":
            return select_last_click(owner.id)
    name = column.removeprefix(ATTRIBUTE)
    formats, dialect = ValueFormats.of(owner), db.engine.dialect.name
    match owner.attribute_types.get(name) or _infer_type(owner.id, name):
        case AttributeType.NUMBER:
            return number_of(name, formats, dialect)
        case AttributeType.DATE:
            return date_of(name, formats, dialect)
        case AttributeType.YES_NO:
            return case((yes_no_of(name).is_(True), 1), (yes_no_of(name).is_(False), 0))
    return func.substr(func.lower(text_of(name)), 1, SORTED_LENGTH, type_=String)


def _infer_type(owner_id: int, name: str) -> AttributeType:
    """Return the type of a field that no import has added, judged by the newest clients."""
    newest = select(text_of(name)).where(Client.owner_id == owner_id).order_by(Client.id.desc()).limit(SAMPLE)
    return infer_type(value or "" for value in db.session.scalars(newest))
