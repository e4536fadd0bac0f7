"""Suppress addresses, so that an owner's mailings skip them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import Suppression, SuppressionReason

NOTE_MAX_LENGTH = 500


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """An address to suppress, and why."""

    email_key: str
    reason: SuppressionReason
    note: str = ""

    @classmethod
    def by_owner(cls, email_key: str) -> "NewSuppression":
        """Return a suppression that the owner decided on and may lift."""
        return cls(email_key, SuppressionReason.MANUAL)


def suppress(owner_id: int, email_key: str, reason: SuppressionReason, note: str, now: datetime) -> None:
    """Stop this owner's mailings to the address."""
    suppress_all(owner_id, [NewSuppression(email_key, reason, note)], now)


def suppress_all(owner_id: int, suppressions: Iterable[NewSuppression], now: datetime) -> None:
    """Stop this owner's mailings to the addresses.

    The first reason is kept, unless it is the owner's own (MANUAL). The owner can lift that one, which
    must not undo a later unsubscription.
    """
    first: dict[str, NewSuppression] = {}
    for new in suppressions:
        earlier = first.setdefault(new.email_key, new)
        if earlier.reason is SuppressionReason.MANUAL:
            first[new.email_key] = new
    if not first:
        return
    statement = insert_into(Suppression)
    changed = {name: statement.excluded[name] for name in ("reason", "note", "created_at")}
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["owner_id", "email_key"],
            set_=changed,
            where=Suppression.reason == SuppressionReason.MANUAL,
        ),
        # All imports write in the same order, so that concurrent imports cannot deadlock.
        [
            {
                "owner_id": owner_id,
                "email_key": key,
                "reason": first[key].reason,
                "note": first[key].note[:NOTE_MAX_LENGTH],
                "created_at": now,
            }
            for key in sorted(first)
        ],
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
