"""Apply returned letters: update the counts of their runs, and suppress clients.

Functions work on several bounces at once. They lock tables in a fixed order, and rows by owner or ID, so that
processes that handle letters about the same clients cannot deadlock.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select, update

from skymailing.clients.consents import record_all
from skymailing.clients.suppression import NewSuppression, suppress_all
from skymailing.clients.topic_choices import choose
from skymailing.db.engine import is_in
from skymailing.delivery.ledger.later_counts import add_later_counts
from skymailing.delivery.reputation import count_problems
from skymailing.events import payloads
from skymailing.events.recording import record as record_events
from skymailing.events.suppressions import report_suppressed
from skymailing.extensions import db
from skymailing.models import (
    TRUSTED_PROOFS,
    Bounce,
    BounceKind,
    ConsentKind,
    Delivery,
    Proof,
    ReturnedLetter,
    ReturnedState,
    Suppression,
    SuppressionReason,
    Topic,
    UsageKind,
)
from skymailing.returns.attribution import Target
from skymailing.returns.soft_bounces import find_repeated

WITHDRAWALS = {
    SuppressionReason.UNSUBSCRIBED: ConsentKind.WITHDRAWN,
    SuppressionReason.COMPLAINED: ConsentKind.OBJECTED,
}
RATED_KINDS = {BounceKind.HARD: UsageKind.BOUNCES, BounceKind.COMPLAINT: UsageKind.COMPLAINTS}


def act(bounces: Sequence[Bounce], opt_outs: Sequence[Target], now: datetime) -> None:
    """Act on bounces that are certain, and on requests to unsubscribe."""
    repeated = find_repeated([bounce for bounce in bounces if bounce.kind is BounceKind.SOFT], now)
    unsubscribed = _suppress(
        [bounce for bounce in bounces if bounce.kind in RATED_KINDS] + repeated, opt_outs, now
    )
    _report(bounces, unsubscribed, now)
    _rate(bounces, now)
    _count(bounces, unsubscribed, now)


def confirm(bounce: Bounce, now: datetime) -> None:
    """Stop mailing the address of an unclear bounce, because the owner confirmed the bounce."""
    if not _lock_undecided(bounce):
        return
    bounce.proof = Proof.PERSON
    _suppress([bounce], [], now)
    _report([bounce], [], now)
    _rate([bounce], now)
    _settle(bounce)
    _count([bounce], [], now)


def _report(bounces: Sequence[Bounce], unsubscribed: Sequence[Target], now: datetime) -> None:
    """Record events for bounces, complaints, and people who unsubscribed by email or via a provider."""
    complaints = [bounce for bounce in bounces if bounce.kind is BounceKind.COMPLAINT]
    events = [payloads.client_complained(bounce, now) for bounce in complaints]
    others = [bounce for bounce in bounces if bounce.kind is not BounceKind.COMPLAINT]
    events += [payloads.bounce_received(bounce, now) for bounce in others]
    for target in unsubscribed:
        values = (target.owner_id, target.email_key, target.topic_id, target.run_id, now)
        events.append(payloads.client_unsubscribed(*values))
    record_events(db.session.connection(), *events)


def dismiss(bounce: Bounce) -> None:
    """Ignore an unclear bounce."""
    if _lock_undecided(bounce):
        bounce.proof = Proof.DISMISSED
        _settle(bounce)


def _lock_undecided(bounce: Bounce) -> bool:
    """Lock and reload a bounce, which may have been decided or deleted; return whether it is unclear."""
    unclear = select(Bounce).where(Bounce.id == bounce.id, Bounce.proof == Proof.ADDRESS)
    locked = unclear.with_for_update().execution_options(populate_existing=True)
    return db.session.scalar(locked) is not None


def _settle(bounce: Bounce) -> None:
    """Mark the letter as understood once none of its bounces needs a decision."""
    db.session.flush()
    waiting = select(Bounce.id).where(Bounce.letter_id == bounce.letter_id, Bounce.proof == Proof.ADDRESS)
    if bounce.letter_id is None or db.session.scalar(waiting.limit(1)) is not None:
        return
    db.session.execute(
        update(ReturnedLetter)
        .where(ReturnedLetter.id == bounce.letter_id)
        .values(state=ReturnedState.UNDERSTOOD)
    )


def _count(bounces: Sequence[Bounce], unsubscribed: Sequence[Target], now: datetime) -> None:
    """Count letters in their runs, once for all bounces of a letter and once for a complaint.

    Letters whose recipients unsubscribed are counted as well.
    """
    totals: dict[int, Counter[str]] = defaultdict(Counter)
    counted = _find_counted(bounces)
    for bounce in bounces:
        if bounce.run_id is None:
            continue
        if bounce.kind is BounceKind.COMPLAINT:
            totals[bounce.run_id]["complaints"] += 1
        elif bounce.delivery_id not in counted:
            counted.add(bounce.delivery_id)
            totals[bounce.run_id]["returned"] += 1
    for run_id, _email_key in {(target.run_id, target.email_key) for target in unsubscribed}:
        if run_id is not None:
            totals[run_id]["unsubscribed"] += 1
    add_later_counts(db.session.connection(), totals, now)


def _find_counted(bounces: Sequence[Bounce]) -> set[int | None]:
    """Return the deliveries already counted as returned because of earlier bounces."""
    ids = sorted({bounce.delivery_id for bounce in bounces if bounce.delivery_id is not None})
    earlier = select(Bounce.delivery_id).where(
        is_in(Bounce.delivery_id, ids),
        ~is_in(Bounce.id, [bounce.id for bounce in bounces]),
        Bounce.proof.in_(TRUSTED_PROOFS),
        Bounce.kind != BounceKind.COMPLAINT,
    )
    return set(db.session.scalars(earlier)) if ids else set()


def _suppress(bounces: Sequence[Bounce], opt_outs: Sequence[Target], now: datetime) -> list[Target]:
    """Suppress addresses, or record that they left a topic; return the requests that had an effect."""
    by_owner: dict[int, list[NewSuppression]] = defaultdict(list)
    leaving = _find_leaving(opt_outs)
    for target in opt_outs:
        if target in leaving:
            continue
        new = NewSuppression(target.email_key, SuppressionReason.UNSUBSCRIBED)
        by_owner[target.owner_id].append(new)
    # Only the first reason is stored, so the client's own requests come first: unsubscribing, then
    # complaints.
    for bounce in sorted(bounces, key=lambda bounce: bounce.kind is not BounceKind.COMPLAINT):
        is_complaint = bounce.kind is BounceKind.COMPLAINT
        reason = SuppressionReason.COMPLAINED if is_complaint else SuppressionReason.BOUNCED
        assert bounce.owner_id is not None
        note = f"{bounce.status} {bounce.diagnostic}".strip()
        by_owner[bounce.owner_id].append(NewSuppression(bounce.email_key, reason, note))
    for owner_id, suppressions in sorted(by_owner.items()):
        suppress_all(owner_id, suppressions, now)
        for reason, kind in WITHDRAWALS.items():
            withdrawn = {new.email_key for new in suppressions if new.reason is reason}
            record_all(owner_id, withdrawn, kind, now)
        bounced = {new.email_key for new in suppressions if new.reason is SuppressionReason.BOUNCED}
        report_suppressed(db.session.connection(), owner_id, bounced, now)
    stopping = [target for target in opt_outs if target not in leaving]
    # All letters stop, even if the link's topic has been deleted.
    done = [replace(target, topic_id=None) for target in stopping if _is_unsubscribed(target, now)]
    for target in sorted(leaving, key=lambda target: (target.owner_id, target.topic_id, target.email_key)):
        assert target.topic_id is not None
        if choose(target.owner_id, target.email_key, {target.topic_id: False}, now):
            done.append(target)
    return done


def _is_unsubscribed(target: Target, now: datetime) -> bool:
    """Return whether the address was suppressed just now."""
    made = (Suppression.reason == SuppressionReason.UNSUBSCRIBED) & (Suppression.created_at == now)
    own = (Suppression.owner_id == target.owner_id) & (Suppression.email_key == target.email_key)
    return db.session.scalar(select(Suppression.id).where(own, made)) is not None


def _find_leaving(opt_outs: Sequence[Target]) -> set[Target]:
    """Return the requests that leave an existing topic; all other requests stop all letters."""
    ids = {target.topic_id for target in opt_outs if target.topic_id is not None}
    known = select(Topic.id, Topic.owner_id).where(is_in(Topic.id, sorted(ids)))
    topics = set(db.session.execute(known).tuples()) if ids else set()
    return {target for target in opt_outs if (target.topic_id, target.owner_id) in topics}


def _rate(bounces: Sequence[Bounce], now: datetime) -> None:
    """Count hard bounces and complaints in their owners' reputations, once per address.

    Otherwise, a client who complains about several old letters could stop all mailings.
    """
    rated = [bounce for bounce in bounces if bounce.kind in RATED_KINDS and bounce.delivery_id is not None]
    if not rated:
        return
    known = _find_rated(rated)
    sent_at = _find_times(rated)
    moments: dict[int, dict[UsageKind, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for bounce in rated:
        assert bounce.owner_id is not None
        key = (bounce.owner_id, bounce.email_key, bounce.kind)
        if key not in known:
            known.add(key)
            moment = sent_at.get(bounce.delivery_id) or now
            moments[bounce.owner_id][RATED_KINDS[bounce.kind]].append(moment)
    for owner_id in sorted(moments):
        count_problems(db.session.connection(), owner_id, moments[owner_id], now)


def _find_rated(bounces: Sequence[Bounce]) -> set[tuple[int | None, str, BounceKind]]:
    """Return owner, address and kind of earlier bounces, including all that match the given ones."""
    earlier = select(Bounce.owner_id, Bounce.email_key, Bounce.kind).where(
        is_in(Bounce.owner_id, sorted({bounce.owner_id or 0 for bounce in bounces})),
        Bounce.email_key.in_({bounce.email_key for bounce in bounces}),
        ~is_in(Bounce.id, [bounce.id for bounce in bounces]),
        Bounce.proof.in_(TRUSTED_PROOFS),
    )
    return {(owner_id, key, kind) for owner_id, key, kind in db.session.execute(earlier).tuples()}


def _find_times(bounces: Sequence[Bounce]) -> dict[int | None, datetime | None]:
    """Return the times at which the letters were sent, by delivery ID."""
    ids = sorted({bounce.delivery_id for bounce in bounces if bounce.delivery_id is not None})
    rows = db.session.execute(select(Delivery.id, Delivery.finished_at).where(is_in(Delivery.id, ids)))
    return dict(rows.tuples().all())
