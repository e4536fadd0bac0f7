"""Decide about transactional letters that may have arrived: send them again, or leave them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update

from skymailing.delivery.daily_runs import PATIENCE, day_of
from skymailing.delivery.ledger import deliveries
from skymailing.delivery.ledger.run_counts import RunKey
from skymailing.extensions import db
from skymailing.mailings.services import lock_mailing, require_enabled
from skymailing.models import (
    RUN_TRANSITIONS,
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
    Run,
    RunState,
)

WAITS = (Delivery.state == DeliveryState.UNKNOWN) & Delivery.finished_at.is_(None)


def count_waiting(owner_id: int) -> int:
    """Return how many letters need their owner's decision."""
    statement = select(func.count()).select_from(Delivery).where(_is_in_run_of(owner_id), WAITS)
    return db.session.scalar(statement) or 0


def count_resendable(owner_id: int, now: datetime) -> int:
    """Return how many of these letters are not too old to be sent again."""
    in_time = select(Run.id).where(_may_be_resent(owner_id, now)).join(Mailing)
    statement = select(func.count()).select_from(Delivery).where(Delivery.run_id.in_(in_time), WAITS)
    return db.session.scalar(statement) or 0


def resend(owner_id: int, now: datetime) -> tuple[int, list[int]]:
    """Send the letters again; return how many, and the IDs of their mailings.

    A recipient may get the letter twice, with the same Message-ID. Raises MailingError if a manager has
    stopped the letters.
    """
    runs = _lock_runs(owner_id, now)
    count = 0
    for run in runs:
        require_enabled(run.mailing)
        key = RunKey(run.id, run.mailing_id, owner_id, run.started_at)
        reopened = deliveries.reopen(db.session.connection(), key, WAITS, DeliveryState.DEFERRED, now)
        if reopened and run.state is RunState.FINISHED:
            RUN_TRANSITIONS.move(run, run.reopened_state)
            run.finished_at = None
        count += reopened
    db.session.flush()
    return count, [run.mailing_id for run in runs]


def leave(owner_id: int, now: datetime) -> int:
    """Do not send the letters again; return how many."""
    # A row that another transaction has locked is being finished there, for example by a late result.
    rows = select(Delivery.id).where(_is_in_run_of(owner_id), WAITS).with_for_update(skip_locked=True)
    left = update(Delivery).where(Delivery.id.in_(rows)).values(finished_at=now)
    return db.session.connection().execute(left).rowcount


def _lock_runs(owner_id: int, now: datetime) -> Sequence[Run]:
    """Return the runs with letters that can be sent again; their mailings are locked, in order of ID."""
    has_waiting = select(Delivery.id).where(Delivery.run_id == Run.id, WAITS).exists()
    statement = select(Run).join(Mailing).where(_may_be_resent(owner_id, now), has_waiting)
    runs = db.session.scalars(statement.order_by(Run.mailing_id, Run.id)).all()
    for run in runs:
        lock_mailing(run.mailing)
        db.session.refresh(run)
    return [run for run in runs if run.mailing.state is not MailingState.CANCELLED]


def _is_in_run_of(owner_id: int) -> ColumnElement[bool]:
    runs = select(Run.id).join(Mailing).where(_is_of(owner_id))
    return Delivery.run_id.in_(runs)


def _is_of(owner_id: int) -> ColumnElement[bool]:
    return (Mailing.owner_id == owner_id) & (Mailing.kind == MailingKind.TRANSACTIONAL)


def _may_be_resent(owner_id: int, now: datetime) -> ColumnElement[bool]:
    """Return the condition for runs, joined with their mailings, whose letters have not expired."""
    in_time = Run.scheduled_for >= day_of(now - PATIENCE)
    is_active = Mailing.state.in_((MailingState.RUNNING, MailingState.PAUSED))
    return _is_of(owner_id) & is_active & Run.details_removed_at.is_(None) & in_time
