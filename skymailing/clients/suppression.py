"""Addresses that an owner never mails again."""

from datetime import datetime

from sqlalchemy import delete, select

from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import Suppression, SuppressionReason

NOTE_MAX_LENGTH = 500


def suppress(owner_id: int, email_key: str, reason: SuppressionReason, note: str, now: datetime) -> None:
    """Never mail the address for this owner again.

    What was said first about it stays, but for the owner's own decision, which the owner can take
    back: a person who unsubscribes after it must not be mailed again by that.
    """
    statement = insert_into(Suppression).values(
        owner_id=owner_id,
        email_key=email_key,
        reason=reason,
        note=note[:NOTE_MAX_LENGTH],
        created_at=now,
    )
    given = {name: statement.excluded[name] for name in ("reason", "note", "created_at")}
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["owner_id", "email_key"],
            set_=given,
            where=(Suppression.reason == SuppressionReason.MANUAL) & (given["reason"] != Suppression.reason),
        )
    )


def find_suppression(owner_id: int, email_key: str) -> Suppression | None:
    """Return why the address is not mailed, or None when it is."""
    return db.session.scalar(
        select(Suppression).where(Suppression.owner_id == owner_id, Suppression.email_key == email_key)
    )


def is_suppressed(owner_id: int, email_key: str) -> bool:
    """Whether this owner never mails the address."""
    return find_suppression(owner_id, email_key) is not None


def lift_manual(owner_id: int, email_key: str) -> bool:
    """Allow an address again that the owner shut out; False when anybody else did.

    Only the owner's own decision is the owner's to take back: who unsubscribed, complained or
    does not exist stays left alone.
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
