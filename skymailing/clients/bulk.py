"""Change many clients at once, each action in one transaction, and undo it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, literal, not_, select

from skymailing import undo
from skymailing.clients.tags import add_tag, clean_tag, find_or_create_tags, find_tag, remove_tag
from skymailing.db.engine import execute_counting, insert_into
from skymailing.delivery.audience.compilation import has_tag
from skymailing.delivery.audience.recipients import is_suppressed
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, Removal, RemovalKind, Suppression, SuppressionReason, Tag

MAX_UNDOABLE = 100_000  # clients; what was changed is stored for the undo
AT_A_TIME = 5_000  # SQLite accepts some 30,000 parameters

Condition = ColumnElement[bool]
Result = tuple[int, Removal | None]  # how many clients were changed, and what can undo it


def tag_clients(owner_id: int, text: str, condition: Condition, now: datetime) -> Result:
    """Put a tag on clients; raises InvalidTag, or UserError if the text names no tag."""
    name = clean_tag(text)
    if not name:
        raise UserError("tag_nameless")
    (tag_id,) = find_or_create_tags(owner_id, [name]).values()
    changed = condition & not_(has_tag(tag_id, db.engine.dialect.name))
    ids = _find(owner_id, Client.id, changed)
    count = add_tag(owner_id, tag_id, changed)
    return count, _save(owner_id, {"action": "tag", "tag": tag_id, "clients": ids}, now)


def untag_clients(owner_id: int, text: str, condition: Condition, now: datetime) -> Result:
    """Take a tag off clients; raises UserError if there is no such tag."""
    name = clean_tag(text)
    tag = find_tag(owner_id, name)
    if tag is None:
        raise UserError("tag_missing", name=name)
    ids = _find(owner_id, Client.id, condition & has_tag(tag.id, db.engine.dialect.name))
    count = remove_tag(owner_id, tag.id, condition)
    return count, _save(owner_id, {"action": "untag", "tag": tag.id, "clients": ids}, now)


def suppress_clients(owner_id: int, condition: Condition, now: datetime) -> Result:
    """Stop mailing clients at the owner's request."""
    changed = condition & ~is_suppressed()
    keys = _find(owner_id, Client.email_key, changed)
    source = select(
        literal(owner_id),
        Client.email_key,
        literal(SuppressionReason.MANUAL.value),
        literal(""),
        literal(now, Suppression.created_at.type),
    ).where(Client.owner_id == owner_id, changed)
    columns = ["owner_id", "email_key", "reason", "note", "created_at"]
    # Ordered, so that concurrent actions cannot deadlock.
    statement = insert_into(Suppression).from_select(columns, source.order_by(Client.email_key))
    count = execute_counting(statement.on_conflict_do_nothing())
    return count, _save(owner_id, {"action": "suppress", "at": now.isoformat(), "clients": keys}, now)


def allow_clients(owner_id: int, condition: Condition, now: datetime) -> Result:
    """Mail clients again whom the owner had suppressed; other suppressions stay."""
    is_manual = (Suppression.owner_id == owner_id) & (Suppression.reason == SuppressionReason.MANUAL)
    manual = select(Suppression.email_key).where(is_manual)
    keys = _find(owner_id, Client.email_key, condition & Client.email_key.in_(manual))
    chosen = select(Client.email_key).where(Client.owner_id == owner_id, condition)
    count = execute_counting(delete(Suppression).where(is_manual, Suppression.email_key.in_(chosen)))
    return count, _save(owner_id, {"action": "allow", "clients": keys}, now)


def undo_bulk(owner_id: int, removal_id: int, now: datetime) -> bool:
    """Undo an action on many clients; return False if it cannot be undone any longer.

    Raises UserError if the tag has been deleted since.
    """
    content = undo.pop_removal(owner_id, RemovalKind.BULK, removal_id, now)
    if content is None:
        return False
    if "tag" in content and not db.session.scalar(
        select(Tag.id).where(Tag.owner_id == owner_id, Tag.id == content["tag"])
    ):
        raise UserError("bulk_tag_deleted")
    clients = content["clients"]
    for start in range(0, len(clients), AT_A_TIME):
        _undo_part(owner_id, content, clients[start : start + AT_A_TIME], now)
    return True


def _undo_part(owner_id: int, content: dict[str, Any], clients: list[Any], now: datetime) -> None:
    match content["action"]:
        case "tag":
            remove_tag(owner_id, content["tag"], Client.id.in_(clients))
        case "untag":
            add_tag(owner_id, content["tag"], Client.id.in_(clients))
        case "suppress":
            # Only what this action did: the owner may have asked for the same again since.
            done = Suppression.created_at == datetime.fromisoformat(content["at"])
            is_manual = (Suppression.owner_id == owner_id) & (Suppression.reason == SuppressionReason.MANUAL)
            db.session.execute(delete(Suppression).where(is_manual, done, Suppression.email_key.in_(clients)))
        case "allow":
            suppress_clients(owner_id, Client.email_key.in_(clients), now)


def _find(owner_id: int, column: Any, condition: Condition) -> list[Any]:
    """Return the IDs or keys of the clients that an action changes, at most one more than can be undone."""
    own = select(column).where(Client.owner_id == owner_id, condition).order_by(column)
    return list(db.session.scalars(own.limit(MAX_UNDOABLE + 1)))


def _save(owner_id: int, content: dict[str, Any], now: datetime) -> Removal | None:
    is_undoable = 0 < len(content["clients"]) <= MAX_UNDOABLE
    return undo.save_removal(owner_id, RemovalKind.BULK, content, now) if is_undoable else None
