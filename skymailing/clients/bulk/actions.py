"""Define the actions on many clients, and how each is undone.

Each function changes some of the clients in the caller's transaction. A new action is a member of
`BulkAction` with an entry in `ACTIONS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, select

from skymailing.clients.bulk.values import clean_field, clean_value, restore_field, set_field
from skymailing.clients.deletion import remove_clients, restore_removed_clients
from skymailing.clients.tags import add_tag, clean_tag, find_or_create_tags, find_tag, remove_tag
from skymailing.db.engine import execute_counting, insert_into
from skymailing.delivery.audience.recipients import is_suppressed
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import (
    AuditAction,
    BulkAction,
    Client,
    Suppression,
    SuppressionReason,
    Tag,
    client_tags,
)


@dataclass(frozen=True, slots=True)
class Order:
    """An action to perform on an owner's clients; its time identifies the rows that it adds."""

    owner_id: int
    action: BulkAction
    at: datetime
    tag_id: int | None = None
    tag: str = ""  # the tag's name
    field: str = ""  # the name of a custom field
    value: str = ""

    @property
    def needs_tag(self) -> bool:
        return self.action in (BulkAction.TAG, BulkAction.UNTAG)


class Change(NamedTuple):
    """What an action did to some clients."""

    items: list[Any]  # the data for `change_back`: one item for each changed client
    skipped: int = 0  # clients who would exceed a limit


def read_order(owner_id: int, action: BulkAction, text: str, now: datetime) -> Order:
    """Return the order for an action; if it adds a tag, create the tag named by the text if necessary.

    Raises InvalidTag, or UserError if the text names no tag.
    """
    if action not in (BulkAction.TAG, BulkAction.UNTAG):
        return Order(owner_id, action, now)
    name = clean_tag(text)
    if action is BulkAction.UNTAG:
        tag = find_tag(owner_id, name)
        if tag is None:
            raise UserError("tag_missing", name=name)
        return Order(owner_id, action, now, tag.id, tag.name)
    if not name:
        raise UserError("tag_nameless")
    (tag_id,) = find_or_create_tags(owner_id, [name]).values()
    return Order(owner_id, action, now, tag_id, name)


def read_field_order(owner_id: int, name: str, text: str, now: datetime) -> Order:
    """Return the order to set a custom field; raises UserError or InvalidValue."""
    return Order(owner_id, BulkAction.SET, now, field=clean_field(name), value=clean_value(text))


def keep_tag(order: Order) -> bool:
    """Prevent the order's tag from being deleted until the commit; return False if it has been deleted.

    Call this before locking the job: deleting a tag locks the tag first, then the jobs that refer to it.
    """
    if not order.needs_tag:
        return True
    statement = select(Tag.id).where(Tag.owner_id == order.owner_id, Tag.id == order.tag_id)
    return db.session.scalar(statement.with_for_update(read=True, key_share=True)) is not None


def check_tag(order: Order, code: str) -> None:
    """Keep the order's tag until the commit; raises UserError with this code if it has been deleted."""
    if not keep_tag(order):
        raise UserError(code)


def change_clients(order: Order, ids: Sequence[int], now: datetime) -> Change:
    """Change the owner's clients with these IDs, except those without need for a change."""
    check_tag(order, "bulk_tag_missing")
    return ACTIONS[order.action].change(order, _drop_new(order, ids), now)


def change_back(order: Order, changed: Sequence[Any], now: datetime) -> int:
    """Undo what `change_clients` did, except for clients who have been deleted or changed again since.

    Return how many clients this changed; raises UserError if the tag has been deleted.
    """
    check_tag(order, "bulk_tag_deleted")
    return ACTIONS[order.action].change_back(order, changed, now)


def _drop_new(order: Order, ids: Sequence[int]) -> Sequence[int]:
    """Omit clients added after the order, because SQLite may reuse the IDs of deleted clients."""
    if db.engine.dialect.name != "sqlite":
        return ids
    return _find(order, Client.id, Client.id.in_(ids) & (Client.created_at <= order.at))


def _tag(order: Order, ids: Sequence[int], _now: datetime) -> Change:
    changed = _find(order, Client.id, Client.id.in_(set(ids) - _find_tagged(order, ids)))
    add_tag(order.owner_id, _require_tag_id(order), Client.id.in_(changed))
    return Change(changed)


def _untag(order: Order, ids: Sequence[int], _now: datetime) -> Change:
    changed = _find(order, Client.id, Client.id.in_(_find_tagged(order, ids)))
    remove_tag(order.owner_id, _require_tag_id(order), Client.id.in_(changed))
    return Change(changed)


def _find_tagged(order: Order, ids: Sequence[int]) -> set[int]:
    """Return which of these clients have the tag; looked up by key, since many more clients may have it."""
    tagged = (client_tags.c.tag_id == _require_tag_id(order)) & client_tags.c.client_id.in_(ids)
    return set(db.session.scalars(select(client_tags.c.client_id).where(tagged)))


def _undo_tag(order: Order, changed: Sequence[int], _now: datetime) -> int:
    return remove_tag(order.owner_id, _require_tag_id(order), Client.id.in_(_drop_new(order, changed)))


def _undo_untag(order: Order, changed: Sequence[int], _now: datetime) -> int:
    return add_tag(order.owner_id, _require_tag_id(order), Client.id.in_(_drop_new(order, changed)))


def _suppress(order: Order, ids: Sequence[int], _now: datetime) -> Change:
    keys = _find(order, Client.email_key, Client.id.in_(ids) & ~is_suppressed())
    _add_manual(order, [(key, "", order.at) for key in keys])
    return Change(keys)


def _add_manual(order: Order, rows: Sequence[tuple[str, str, datetime]]) -> int:
    """Add manual suppressions, each given as an address key, a note and a time; return how many are new."""
    values = [
        {
            "owner_id": order.owner_id,
            "email_key": key,
            "reason": SuppressionReason.MANUAL,
            "note": note,
            "created_at": created_at,
        }
        for key, note, created_at in sorted(rows)  # so that concurrent actions cannot deadlock
    ]
    return execute_counting(insert_into(Suppression).on_conflict_do_nothing(), values) if values else 0


def _allow(order: Order, ids: Sequence[int], _now: datetime) -> Change:
    """Resume emailing clients whom the owner had suppressed; other suppressions remain.

    Store the address key, the note and the time of each suppression.
    """
    columns = (Suppression.email_key, Suppression.note, Suppression.created_at)
    chosen = select(Client.email_key).where(Client.owner_id == order.owner_id, Client.id.in_(ids))
    manual = _is_manual(order) & Suppression.email_key.in_(chosen)
    rows = db.session.execute(select(*columns).where(manual).order_by(Suppression.email_key)).tuples().all()
    keys = [key for key, _note, _created_at in rows]
    db.session.execute(delete(Suppression).where(_is_manual(order), Suppression.email_key.in_(keys)))
    return Change([[key, note, created_at.isoformat()] for key, note, created_at in rows])


def _undo_allow(order: Order, changed: Sequence[Any], now: datetime) -> int:
    """Restore the removed suppressions, even for addresses that no longer belong to a client."""
    # Earlier versions stored only the address keys.
    rows = [(item, "", now.isoformat()) if isinstance(item, str) else item for item in changed]
    return _add_manual(order, [(key, note, datetime.fromisoformat(at)) for key, note, at in rows])


def _undo_suppress(order: Order, changed: Sequence[str], _now: datetime) -> int:
    # Only those that this action added: the owner may have suppressed the same addresses again since.
    done = Suppression.created_at == order.at
    condition = done & Suppression.email_key.in_(changed)
    return execute_counting(delete(Suppression).where(_is_manual(order), condition))


def _is_manual(order: Order) -> ColumnElement[bool]:
    return (Suppression.owner_id == order.owner_id) & (Suppression.reason == SuppressionReason.MANUAL)


def _delete(order: Order, ids: Sequence[int], now: datetime) -> Change:
    _clients, content = remove_clients(order.owner_id, ids, now)
    return Change(content)


def _undo_delete(order: Order, changed: Sequence[dict[str, Any]], _now: datetime) -> int:
    return len(restore_removed_clients(order.owner_id, changed))


def _set(order: Order, ids: Sequence[int], _now: datetime) -> Change:
    return Change(*set_field(order.owner_id, ids, order.field, order.value))


def _undo_set(order: Order, changed: Sequence[Any], _now: datetime) -> int:
    present = set(_drop_new(order, [id for id, _before in changed]))
    restored = [item for item in changed if item[0] in present]
    return restore_field(order.owner_id, restored, order.field, order.value)


def _find(order: Order, column: Any, condition: ColumnElement[bool]) -> list[Any]:
    statement = select(column).where(Client.owner_id == order.owner_id, condition)
    return list(db.session.scalars(statement.order_by(column)))


def _require_tag_id(order: Order) -> int:
    assert order.tag_id is not None  # `check_tag` has found it
    return order.tag_id


@dataclass(frozen=True, slots=True)
class Action:
    """An action, its undo, and the names of both in the audit log."""

    change: Callable[[Order, Sequence[int], datetime], Change]
    change_back: Callable[[Order, Sequence[Any], datetime], int]
    audited: AuditAction
    audited_undo: AuditAction


ACTIONS = {
    BulkAction.TAG: Action(_tag, _undo_tag, AuditAction.CLIENTS_TAGGED, AuditAction.CLIENTS_UNTAGGED),
    BulkAction.UNTAG: Action(_untag, _undo_untag, AuditAction.CLIENTS_UNTAGGED, AuditAction.CLIENTS_TAGGED),
    BulkAction.SUPPRESS: Action(
        _suppress, _undo_suppress, AuditAction.CLIENTS_SUPPRESSED, AuditAction.CLIENTS_ALLOWED
    ),
    BulkAction.ALLOW: Action(
        _allow, _undo_allow, AuditAction.CLIENTS_ALLOWED, AuditAction.CLIENTS_SUPPRESSED
    ),
    BulkAction.DELETE: Action(
        _delete, _undo_delete, AuditAction.CLIENTS_DELETED, AuditAction.CLIENTS_RESTORED
    ),
    BulkAction.SET: Action(_set, _undo_set, AuditAction.CLIENTS_CHANGED, AuditAction.CLIENTS_CHANGED_BACK),
}
