"""Undo deletions: deleted objects are stored for an hour, during which their owner can restore them."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Removal, RemovalKind

UNDO_WINDOW = timedelta(hours=1)


class CannotRestore(UserError):
    """A deletion cannot be undone; the error code gives the reason."""


def save_removal(owner_id: int, kind: RemovalKind, content: dict[str, Any], now: datetime) -> Removal:
    """Store what is being deleted, in the caller's transaction."""
    removal = Removal(owner_id=owner_id, kind=kind, content=content, removed_at=now)
    db.session.add(removal)
    db.session.flush()
    return removal


def pop_removal(owner_id: int, kind: RemovalKind, removal_id: int, now: datetime) -> dict[str, Any] | None:
    """Return the deleted content, and remove it from the store.

    Return None if the removal belongs to another owner, is older than UNDO_WINDOW, or has been undone.
    """
    condition = (Removal.id == removal_id) & (Removal.owner_id == owner_id) & (Removal.kind == kind)
    found = db.session.scalar(
        select(Removal).where(condition, Removal.removed_at > now - UNDO_WINDOW).with_for_update()
    )
    if found is None:
        return None
    content = found.content
    db.session.delete(found)
    db.session.flush()
    return content


def delete_expired(now: datetime) -> None:
    """Delete removals that can no longer be undone."""
    expired = Removal.removed_at <= now - UNDO_WINDOW
    # On SQLite even a DELETE that finds nothing takes the write lock, so check first.
    if db.session.scalar(select(Removal.id).where(expired).limit(1)) is not None:
        db.session.execute(delete(Removal).where(expired))
