"""Undo for deletions: what was deleted is stored for an hour, and its owner can restore it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Removal, RemovalKind

UNDO_WINDOW = timedelta(hours=1)


class CannotRestore(UserError):
    """A deletion cannot be undone; the code says why."""


def save_removal(owner_id: int, kind: RemovalKind, content: dict[str, Any], now: datetime) -> Removal:
    """Store what is being deleted, in the caller's transaction."""
    removal = Removal(owner_id=owner_id, kind=kind, content=content, removed_at=now)
    db.session.add(removal)
    db.session.flush()
    return removal


def pop_removal(owner_id: int, kind: RemovalKind, removal_id: int, now: datetime) -> dict[str, Any] | None:
    """Return what was deleted, and remove it from the store.

    None when the removal belongs to another owner, is older than UNDO_WINDOW, or was undone already.
    """
    own = (Removal.id == removal_id) & (Removal.owner_id == owner_id) & (Removal.kind == kind)
    found = db.session.scalar(
        select(Removal).where(own, Removal.removed_at > now - UNDO_WINDOW).with_for_update()
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
    # On SQLite even a DELETE that finds nothing takes the write lock, so look first.
    if db.session.scalar(select(Removal.id).where(expired).limit(1)) is not None:
        db.session.execute(delete(Removal).where(expired))
