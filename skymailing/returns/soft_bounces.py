"""Find repeated soft bounces: a mailbox that stays full accepts no letters, like one that does not exist."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, distinct, func, select

from skymailing.db.engine import is_in
from skymailing.extensions import db
from skymailing.models import TRUSTED_PROOFS, Bounce, BounceKind, Delivery, DeliveryState

# Soft bounces suppress an address after this many runs in a row, within this time.
RUNS_IN_A_ROW = 3
PERIOD = timedelta(days=60)
# A letter that has not been returned within this time counts as arrived.
ARRIVED_AFTER = timedelta(days=5)
LAST_LETTERS = 50


def find_repeated(bounces: Sequence[Bounce], now: datetime) -> list[Bounce]:
    """Return the soft bounces that are the client's third in a row."""
    if not bounces:
        return []
    # Few addresses have so many soft bounces, and only their letters are examined.
    count = func.count(distinct(Bounce.delivery_id))
    frequent = (
        select(Bounce.owner_id, Bounce.email_key)
        .where(
            is_in(Bounce.owner_id, sorted({bounce.owner_id or 0 for bounce in bounces})),
            Bounce.email_key.in_({bounce.email_key for bounce in bounces}),
            Bounce.kind == BounceKind.SOFT,
            Bounce.proof.in_(TRUSTED_PROOFS),
        )
        .group_by(Bounce.owner_id, Bounce.email_key)
        .having(count >= RUNS_IN_A_ROW)
    )
    addresses = set(db.session.execute(frequent).tuples())
    return [
        bounce
        for bounce in bounces
        if (bounce.owner_id, bounce.email_key) in addresses
        and _count_consecutive(bounce, now) >= RUNS_IN_A_ROW
    ]


def _count_consecutive(bounce: Bounce, now: datetime) -> int:
    """Return how many of the client's last letters were returned, each from a different run.

    A letter that arrived ends the count; one that may still be returned is skipped.
    """
    client_id = db.session.scalar(select(Delivery.client_id).where(Delivery.id == bounce.delivery_id))
    if client_id is None:
        return 0
    was_returned, is_soft = _has(Bounce.kind != BounceKind.COMPLAINT), _has(Bounce.kind == BounceKind.SOFT)
    letters = db.session.execute(
        select(Delivery.finished_at, was_returned, is_soft)
        .where(
            Delivery.client_id == client_id,
            Delivery.email_key == bounce.email_key,
            Delivery.state == DeliveryState.SENT,
            Delivery.finished_at >= now - PERIOD,
        )
        .order_by(Delivery.id.desc())
        .limit(LAST_LETTERS)
    ).tuples()
    count = 0
    for finished_at, has_bounced, has_softly_bounced in letters:
        if has_softly_bounced:
            count += 1
        elif not has_bounced and finished_at is not None and finished_at < now - ARRIVED_AFTER:
            break
    return count


def _has(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a delivery has a trusted bounce that meets `condition`."""
    statement = select(Bounce.id).where(Bounce.delivery_id == Delivery.id, Bounce.proof.in_(TRUSTED_PROOFS))
    return statement.where(condition).exists()
