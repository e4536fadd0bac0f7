"""Deleting that can be undone: what was taken away is kept for a while, and put back by whoever owned it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import Removal, RemovalKind

KEPT_FOR = timedelta(hours=1)


class CannotRestore(SkyMailingError):
    """What was deleted cannot be put back; the message says why."""


def keep(owner_id: int, kind: RemovalKind, content: dict[str, Any], now: datetime) -> Removal:
    """Write down what is being deleted, in the caller's transaction."""
    removal = Removal(owner_id=owner_id, kind=kind, content=content, removed_at=now)
    db.session.add(removal)
    db.session.flush()
    return removal


def take(owner_id: int, kind: RemovalKind, removal_id: int, now: datetime) -> dict[str, Any] | None:
    """Return what was deleted, for once: None when it is not the owner's, too old, or put back already."""
    own = (Removal.id == removal_id) & (Removal.owner_id == owner_id) & (Removal.kind == kind)
    found = db.session.scalar(
        select(Removal).where(own, Removal.removed_at > now - KEPT_FOR).with_for_update()
    )
    if found is None:
        return None
    content = found.content
    db.session.delete(found)
    db.session.flush()
    return content


def forget_old(now: datetime) -> None:
    """Drop for good what nobody wanted back; commits."""
    old = Removal.removed_at <= now - KEPT_FOR
    if db.session.scalar(select(Removal.id).where(old).limit(1)) is not None:
        db.session.execute(delete(Removal).where(old))
        db.session.commit()
    db.session.rollback()
