"""Set a custom field of many clients, and undo this."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select, update

from skymailing.clients.cleaning import MAX_ATTRIBUTES, clean_attribute
from skymailing.clients.columns import attribute_key
from skymailing.clients.locking import make_locking_order
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client

Attributes = Mapping[str, str]


def clean_field(name: str) -> str:
    """Return the name of a custom field; raises UserError."""
    field = attribute_key(name)
    if not field:
        raise UserError("client_field_unnamed")
    return field


def clean_value(text: str) -> str:
    """Return a value for a custom field, which may be empty; raises UserError or InvalidValue."""
    value = clean_attribute(text)
    if text.strip() and not value:
        raise UserError("client_value_unreadable")
    return value


def set_field(owner_id: int, ids: Sequence[int], field: str, value: str) -> tuple[list[list[Any]], int]:
    """Store a value for each of these clients; an empty one removes the field.

    Return the ID and earlier value (or None) of each changed client, and the number of clients who were
    skipped because they already have the maximum number of fields.
    """
    changed, rows, skipped = [], [], 0
    for id, attributes in _lock(owner_id, ids):
        before = attributes.get(field)
        if (before or "") == value:
            continue
        if before is None and len(attributes) >= MAX_ATTRIBUTES:
            skipped += 1
            continue
        changed.append([id, before])
        rows.append((id, _replace(attributes, field, value)))
    _store(rows)
    return changed, skipped


def restore_field(owner_id: int, changed: Iterable[Sequence[Any]], field: str, value: str) -> int:
    """Restore the earlier values, except for clients whose value is no longer the one that was set.

    A removed field is not restored if the client now has the maximum number of other fields.
    Return for how many clients the value was restored.
    """
    before: dict[int, str | None] = {item[0]: item[1] for item in changed}
    rows = []
    for id, attributes in _lock(owner_id, list(before)):
        is_full = field not in attributes and len(attributes) >= MAX_ATTRIBUTES
        if attributes.get(field, "") == value and not is_full:
            rows.append((id, _replace(attributes, field, before[id])))
    _store(rows)
    return len(rows)


def _lock(owner_id: int, ids: Sequence[int]) -> Sequence[tuple[int, Attributes]]:
    """Return the IDs and attributes of the owner's clients, who are locked until the transaction ends."""
    own = (Client.owner_id == owner_id) & Client.id.in_(ids)
    statement = select(Client.id, Client.attributes).where(own).order_by(make_locking_order())
    return [(id, attributes) for id, attributes in db.session.execute(statement.with_for_update()).tuples()]


def _replace(attributes: Attributes, field: str, value: str | None) -> dict[str, str]:
    others = {name: text for name, text in attributes.items() if name != field}
    return {**attributes, field: value} if value else others


def _store(rows: Sequence[tuple[int, Mapping[str, str]]]) -> None:
    if rows:
        db.session.execute(update(Client), [{"id": id, "attributes": values} for id, values in rows])
