"""Decide about emails of sequences that may have arrived: send them again, or leave them."""

from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select, update

from skymailing.delivery.daily_runs import SEQUENCE_PATIENCE, day_of
from skymailing.delivery.ledger import deliveries
from skymailing.delivery.ledger.run_counts import RunKey
from skymailing.extensions import db
from skymailing.mailings.services import lock_mailing, require_enabled
from skymailing.models import (
    RUN_TRANSITIONS,
    Delivery,
    DeliveryState,
    MailingState,
    Run,
    RunState,
    Sequence,
    SequenceStep,
)
from skymailing.sequences.values import SequenceError

WAITS = (Delivery.state == DeliveryState.UNKNOWN) & Delivery.finished_at.is_(None)


def count_waiting(sequence: Sequence) -> int:
    """Return how many emails need their owner's decision."""
    waiting = select(func.count()).select_from(Delivery).where(_is_in_run_of(sequence), WAITS)
    return db.session.scalar(waiting) or 0


def resend(sequence: Sequence, now: datetime) -> int:
    """Send again the emails that are not too old; return how many.

    A client may get an email twice, with the same Message-ID. Raises SequenceError if all are too old, and
    MailingError if a manager has stopped them.
    """
    has_waiting = select(Delivery.id).where(Delivery.run_id == Run.id, WAITS).exists()
    in_time = Run.scheduled_for >= day_of(now - SEQUENCE_PATIENCE)
    runs = select(Run).where(Run.mailing_id.in_(_select_mailings(sequence)), has_waiting, in_time)
    count = 0
    for run in db.session.scalars(runs.order_by(Run.mailing_id, Run.id)).all():
        lock_mailing(run.mailing)
        db.session.refresh(run)
        require_enabled(run.mailing)
        if run.mailing.state is MailingState.CANCELLED or run.details_removed_at is not None:
            continue
        key = RunKey(run.id, run.mailing_id, sequence.owner_id, run.started_at)
        reopened = deliveries.reopen(db.session.connection(), key, WAITS, DeliveryState.DEFERRED, now)
        if reopened and run.state is RunState.FINISHED:
            RUN_TRANSITIONS.move(run, RunState.SEQUENCE)
            run.finished_at = None
        count += reopened
    db.session.flush()
    if not count:
        raise SequenceError("sequence_unknowns_too_old")
    return count


def leave(sequence: Sequence, now: datetime) -> int:
    """Do not send the emails again; return how many."""
    # A row that another transaction has locked is being finished there, for example by a late result.
    rows = select(Delivery.id).where(_is_in_run_of(sequence), WAITS).with_for_update(skip_locked=True)
    left = update(Delivery).where(Delivery.id.in_(rows)).values(finished_at=now)
    return db.session.connection().execute(left).rowcount


def _is_in_run_of(sequence: Sequence) -> ColumnElement[bool]:
    runs = select(Run.id).where(Run.mailing_id.in_(_select_mailings(sequence)))
    return Delivery.run_id.in_(runs)


def _select_mailings(sequence: Sequence) -> Select[tuple[int]]:
    return select(SequenceStep.mailing_id).where(SequenceStep.sequence_id == sequence.id)
