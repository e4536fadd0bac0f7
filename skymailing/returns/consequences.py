"""What a returned letter changes: counts of its run, and the suppression of its client."""

from datetime import datetime, timedelta

from sqlalchemy import select, update

from skymailing.clients.suppression import suppress
from skymailing.db.engine import insert_into
from skymailing.delivery.ledger.statistics import Changes, run_keys
from skymailing.delivery.reputation import count_problems
from skymailing.extensions import db
from skymailing.models import (
    CERTAIN,
    Bounce,
    BounceKind,
    Delivery,
    DeliveryState,
    Proof,
    ReturnedLetter,
    ReturnedState,
    Run,
    SuppressionReason,
    UsageKind,
)
from skymailing.returns.attribution import Target
from skymailing.returns.reports import Report

# Soft bounces suppress an address after this many runs in a row, within this time.
SOFT_LIMIT = 3
SOFT_PERIOD = timedelta(days=60)
# A letter that has not come back after this time has arrived.
ARRIVED_AFTER = timedelta(days=5)
LAST_LETTERS = 50
RATED = {BounceKind.HARD: UsageKind.BOUNCES, BounceKind.COMPLAINT: UsageKind.COMPLAINTS}


def record_bounce(
    letter: ReturnedLetter, report: Report, kind: BounceKind, target: Target, now: datetime
) -> Bounce | None:
    """Record a bounce; return None if the same one of the same delivery has been recorded.

    One that matched only by address is replaced by one with proof, also if the owner has dismissed it.
    """
    values = {
        "delivery_id": target.delivery_id,
        "letter_id": letter.id,
        "owner_id": target.owner_id,
        "run_id": target.run_id,
        "mailing_id": target.mailing_id,
        "email_key": target.email_key,
        "kind": kind,
        "proof": Proof.SIGNED if target.is_signed else Proof.ADDRESS,
        "action": report.action,
        "status": report.status,
        "diagnostic": report.diagnostic,
        "remote_mta": report.remote_mta,
        "received_at": now,
    }
    statement = insert_into(Bounce)
    is_better = Bounce.proof.not_in(CERTAIN) & (statement.excluded.proof == Proof.SIGNED)
    bounce_id = db.session.scalar(
        statement.values(**values)
        .on_conflict_do_update(
            index_elements=["delivery_id", "kind"],
            set_={name: statement.excluded[name] for name in values},
            where=is_better,
        )
        .returning(Bounce.id)
    )
    return None if bounce_id is None else db.session.get(Bounce, bounce_id, populate_existing=True)


def act(bounce: Bounce, now: datetime) -> None:
    """Do what a certain bounce demands."""
    _count(bounce, now)
    if bounce.kind in (BounceKind.HARD, BounceKind.COMPLAINT) or (
        bounce.kind is BounceKind.SOFT and _count_soft_in_a_row(bounce, now) >= SOFT_LIMIT
    ):
        _suppress(bounce, now)
    _rate(bounce, now)


def _suppress(bounce: Bounce, now: datetime) -> None:
    assert bounce.owner_id is not None
    reason = SuppressionReason.BOUNCED
    if bounce.kind is BounceKind.COMPLAINT:
        reason = SuppressionReason.COMPLAINED
    note = f"{bounce.status} {bounce.diagnostic}".strip()
    suppress(bounce.owner_id, bounce.email_key, reason, note, now)


def confirm(bounce: Bounce, now: datetime) -> None:
    """Stop mailing the address of an unclear bounce, as its owner says that it is right."""
    if not _lock_undecided(bounce):
        return
    bounce.proof = Proof.PERSON
    _count(bounce, now)
    _suppress(bounce, now)
    _rate(bounce, now)
    _settle(bounce)


def dismiss(bounce: Bounce) -> None:
    """Ignore an unclear bounce."""
    if _lock_undecided(bounce):
        bounce.proof = Proof.DISMISSED
        _settle(bounce)


def _lock_undecided(bounce: Bounce) -> bool:
    """Lock a bounce, and read it again, as it may have been decided or deleted; whether it is unclear."""
    unclear = select(Bounce).where(Bounce.id == bounce.id, Bounce.proof == Proof.ADDRESS)
    locked = unclear.with_for_update().execution_options(populate_existing=True)
    return db.session.scalar(locked) is not None


def _settle(bounce: Bounce) -> None:
    """Mark the letter as understood once none of its bounces awaits a decision."""
    db.session.flush()
    waiting = select(Bounce.id).where(Bounce.letter_id == bounce.letter_id, Bounce.proof == Proof.ADDRESS)
    if bounce.letter_id is None or db.session.scalar(waiting.limit(1)) is not None:
        return
    db.session.execute(
        update(ReturnedLetter)
        .where(ReturnedLetter.id == bounce.letter_id)
        .values(state=ReturnedState.UNDERSTOOD)
    )


def _count(bounce: Bounce, now: datetime) -> None:
    """Count the letter in its run, once for all its bounces and once for a complaint."""
    if bounce.run_id is None:
        return
    is_complaint = Bounce.kind == BounceKind.COMPLAINT
    name = "complaints" if bounce.kind is BounceKind.COMPLAINT else "returned"
    if bounce.kind is not BounceKind.COMPLAINT:
        others = select(Bounce.id).where(
            Bounce.delivery_id == bounce.delivery_id,
            Bounce.id != bounce.id,
            Bounce.proof.in_(CERTAIN),
            ~is_complaint,
        )
        if db.session.scalar(others.limit(1)) is not None:
            return
    connection = db.session.connection()
    for run in run_keys(connection, [bounce.run_id]):
        changes = Changes(run, is_shared=True)
        changes.add(name, 1, now)
        changes.write(connection)
    # After the interval, as in workers: otherwise a run that is recounted when it ends could deadlock.
    column = Run.__table__.c[name]
    db.session.execute(update(Run).where(Run.id == bounce.run_id).values({name: column + 1}))


def _rate(bounce: Bounce, now: datetime) -> None:
    """Count a hard bounce or a complaint for its owner's reputation, once for each address.

    Otherwise one client could stop all mailings with complaints about several old letters.
    """
    if bounce.kind not in RATED or bounce.delivery_id is None or bounce.owner_id is None:
        return
    others = select(Bounce.id).where(
        Bounce.owner_id == bounce.owner_id,
        Bounce.email_key == bounce.email_key,
        Bounce.kind == bounce.kind,
        Bounce.id != bounce.id,
        Bounce.proof.in_(CERTAIN),
    )
    if db.session.scalar(others.limit(1)) is not None:
        return
    sent_at = db.session.scalar(select(Delivery.finished_at).where(Delivery.id == bounce.delivery_id))
    connection = db.session.connection()
    count_problems(connection, bounce.owner_id, RATED[bounce.kind], 1, sent_at or now, now)


def _count_soft_in_a_row(bounce: Bounce, now: datetime) -> int:
    """Return how many of the client's last letters came back, each from another run.

    A letter that arrived ends the row; one that may still come back is skipped.
    """
    client_id = db.session.scalar(select(Delivery.client_id).where(Delivery.id == bounce.delivery_id))
    if client_id is None:
        return 0
    came_back = (
        select(Bounce.id)
        .where(
            Bounce.delivery_id == Delivery.id,
            Bounce.kind != BounceKind.COMPLAINT,
            Bounce.proof.in_(CERTAIN),
        )
        .exists()
    )
    is_soft = (
        select(Bounce.id)
        .where(Bounce.delivery_id == Delivery.id, Bounce.kind == BounceKind.SOFT, Bounce.proof.in_(CERTAIN))
        .exists()
    )
    letters = db.session.execute(
        select(Delivery.finished_at, came_back, is_soft)
        .where(
            Delivery.client_id == client_id,
            Delivery.email_key == bounce.email_key,
            Delivery.state == DeliveryState.SENT,
            Delivery.finished_at >= now - SOFT_PERIOD,
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
