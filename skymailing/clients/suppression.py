"""Suppress addresses, so that an owner's mailings skip them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, select

from skymailing.db.engine import insert_into
from skymailing.db.upserts import Insert, Upsert
from skymailing.events.suppressions import report_suppressed
from skymailing.extensions import db
from skymailing.models import (
    TRUSTED_PROOFS,
    Bounce,
    BounceKind,
    Consent,
    ConsentKind,
    MergedAddress,
    Suppression,
    SuppressionReason,
)

NOTE_MAX_LENGTH = 500
BOUNCE_COUNTS = timedelta(days=30)  # a bounce prevents a new subscription for this long
REQUESTED_BY_CLIENT = (SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINED)


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """An address to suppress, and the reason."""

    email_key: str
    reason: SuppressionReason
    note: str = ""

    @classmethod
    def by_owner(cls, email_key: str) -> "NewSuppression":
        """Return a suppression by the owner, who may lift it."""
        return cls(email_key, SuppressionReason.MANUAL)


def suppress(owner_id: int, email_key: str, reason: SuppressionReason, note: str, now: datetime) -> None:
    """Stop this owner's mailings to the address, and record an event for webhooks."""
    suppress_all(owner_id, [NewSuppression(email_key, reason, note)], now)
    if reason is SuppressionReason.MANUAL:  # for all other reasons, the person's own action is reported
        report_suppressed(db.session.connection(), owner_id, [email_key], now)


def suppress_all(owner_id: int, suppressions: Iterable[NewSuppression], now: datetime) -> None:
    """Stop this owner's mailings to the addresses.

    The first reason is kept, unless it is the owner's own (MANUAL): the owner can lift that suppression,
    which must not undo a later opt-out. An opt-out at the address of a merged client also applies to the kept
    address.
    """
    first: dict[str, NewSuppression] = {}
    for new in suppressions:
        earlier = first.setdefault(new.email_key, new)
        if earlier.reason is SuppressionReason.MANUAL:
            first[new.email_key] = new
    if not first:
        return
    _follow_merges(owner_id, first)
    UPSERT_SUPPRESSION.execute(
        db.session.connection(),
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


def _upsert_suppression() -> Insert:
    statement = insert_into(Suppression)
    return statement.on_conflict_do_update(
        index_elements=["owner_id", "email_key"],
        set_={name: statement.excluded[name] for name in ("reason", "note", "created_at")},
        where=Suppression.reason == SuppressionReason.MANUAL,
    )


UPSERT_SUPPRESSION = Upsert(_upsert_suppression)


def _follow_merges(owner_id: int, suppressions: dict[str, NewSuppression]) -> None:
    """Add the addresses into which the addresses of opt-outs were merged, directly or step by step."""
    found = {key: new for key, new in suppressions.items() if new.reason in REQUESTED_BY_CLIENT}
    while found:
        merged = select(MergedAddress.email_key, MergedAddress.kept_key)
        statement = merged.where(MergedAddress.owner_id == owner_id, MergedAddress.email_key.in_(found))
        found = {
            kept_key: replace(found[key], email_key=kept_key)
            for key, kept_key in db.session.execute(statement).tuples()
            if kept_key not in suppressions or suppressions[kept_key].reason not in REQUESTED_BY_CLIENT
        }
        suppressions |= found


def list_merged_into(owner_id: int, email_keys: Sequence[str]) -> list[str]:
    """Return the addresses into which these were merged, directly or step by step."""
    found: list[str] = []
    keys = set(email_keys)
    known = set(keys)
    while keys:
        merged = (MergedAddress.owner_id == owner_id) & MergedAddress.email_key.in_(keys)
        keys = set(db.session.scalars(select(MergedAddress.kept_key).where(merged))) - known
        known |= keys
        found += sorted(keys)
    return found


def remember_merge(owner_id: int, email_key: str, kept_key: str, now: datetime) -> None:
    """Make later opt-outs at an address also apply to the address into whose client it was merged."""
    statement = insert_into(MergedAddress).values(
        owner_id=owner_id, email_key=email_key, kept_key=kept_key, created_at=now
    )
    changed = {"kept_key": kept_key, "created_at": now}
    index = ["owner_id", "email_key"]
    db.session.execute(statement.on_conflict_do_update(index_elements=index, set_=changed))


def forget_merge(owner_id: int, email_key: str, kept_key: str) -> None:
    """Undo `remember_merge`, unless the address has been merged into another one since."""
    pair = (MergedAddress.email_key == email_key) & (MergedAddress.kept_key == kept_key)
    db.session.execute(delete(MergedAddress).where(MergedAddress.owner_id == owner_id, pair))


def find_suppression(owner_id: int, email_key: str) -> Suppression | None:
    """Return the owner's suppression of the address, or None."""
    return db.session.scalar(
        select(Suppression).where(Suppression.owner_id == owner_id, Suppression.email_key == email_key)
    )


def is_suppressed(owner_id: int, email_key: str) -> bool:
    """Return whether the address is suppressed for this owner."""
    return find_suppression(owner_id, email_key) is not None


def lift_by_consent(owner_id: int, email_key: str, now: datetime) -> bool:
    """Lift a suppression because the person confirmed a new subscription; return whether mail is allowed now.

    Nothing else undoes unsubscribing. A bounce prevents this for a month; complaints and the owner's own
    decision always do. Only the first reason is stored, so later complaints and bounces are looked up.
    """
    before = now - BOUNCE_COUNTS
    condition = (
        (Bounce.owner_id == owner_id) & (Bounce.email_key == email_key) & Bounce.proof.in_(TRUSTED_PROOFS)
    )
    is_lasting = (Bounce.kind == BounceKind.COMPLAINT) | (
        (Bounce.kind == BounceKind.HARD) & (Bounce.received_at > before)
    )
    objected = exists().where(
        Consent.owner_id == owner_id,
        Consent.email_key == email_key,
        Consent.kind == ConsentKind.OBJECTED,
    )
    reason = Suppression.reason
    has_ended = (reason == SuppressionReason.UNSUBSCRIBED) | (
        (reason == SuppressionReason.BOUNCED) & (Suppression.created_at <= before)
    )
    same_address = (Suppression.owner_id == owner_id) & (Suppression.email_key == email_key)
    db.session.execute(
        delete(Suppression).where(same_address, has_ended, ~exists().where(condition, is_lasting), ~objected)
    )
    return not is_suppressed(owner_id, email_key)


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
