"""Suppress addresses, so that an owner's mailings skip them."""

from datetime import datetime

from sqlalchemy import delete, select

from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import Suppression, SuppressionReason

NOTE_MAX_LENGTH = 500


def suppress(owner_id: int, email_key: str, reason: SuppressionReason, note: str, now: datetime) -> None:
    """Stop this owner's mailings to the address.

    The first reason is kept, unless it is the owner's own (MANUAL). The owner can lift that one, which
    must not undo a later unsubscription.
    """
    statement = insert_into(Suppression).values(
        owner_id=owner_id,
        email_key=email_key,
        reason=reason,
        note=note[:NOTE_MAX_LENGTH],
        created_at=now,
    )
    new = {name: statement.excluded[name] for name in ("reason", "note", "created_at")}
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["owner_id", "email_key"],
            set_=new,
            where=(Suppression.reason == SuppressionReason.MANUAL) & (new["reason"] != Suppression.reason),
        )
    )


def find_suppression(owner_id: int, email_key: str) -> Suppression | None:
    """Return the owner's suppression of the address, or None."""
    return db.session.scalar(
        select(Suppression).where(Suppression.owner_id == owner_id, Suppression.email_key == email_key)
    )


def is_suppressed(owner_id: int, email_key: str) -> bool:
    """Return whether the address is suppressed for this owner."""
    return find_suppression(owner_id, email_key) is not None


def lift_manual(owner_id: int, email_key: str) -> bool:
    """Lift a suppression that the owner made; return False if there is none.

    The owner cannot lift suppressions for other reasons: unsubscribed, complained, bounced.
    """
    result = db.session.execute(
        delete(Suppression)
        .where(
            Suppression.owner_id == owner_id,
            Suppression.email_key == email_key,
            Suppression.reason == SuppressionReason.MANUAL,
        )
        .returning(Suppression.id)
    )
    return result.first() is not None
