"""What /metrics asks the database."""

from datetime import datetime

from sqlalchemy import func, select

from skymailing.delivery.counts import COUNTED
from skymailing.extensions import db
from skymailing.models import (
    BreakerState,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    OutboxLetter,
    Route,
    Run,
    RunInterval,
    RunState,
    User,
)
from skymailing.models.outbox import LetterState


def count_deliveries() -> dict[DeliveryState, int]:
    """Return the number of recipients of all runs in each state, as counted while they went."""
    names = ["planned", *(state.value for state in COUNTED)]
    sums = [func.coalesce(func.sum(RunInterval.__table__.c[name]), 0) for name in names]
    planned, *counts = map(int, db.session.execute(select(*sums)).one())
    is_sending = Delivery.state == DeliveryState.SENDING
    sending = db.session.scalar(select(func.count()).select_from(Delivery).where(is_sending)) or 0
    pending = max(0, planned - sum(counts) - sending)
    return dict(zip(COUNTED, counts, strict=True)) | {
        DeliveryState.SENDING: sending,
        DeliveryState.PENDING: pending,
    }


def oldest_due(now: datetime) -> datetime | None:
    """Return since when the oldest piece of work has been due that nobody has stopped; None without any."""
    may_go_on = (Mailing.disabled_at.is_(None), User.blocked_at.is_(None))
    start = (
        select(func.min(Mailing.next_run_at))
        .join(User, User.id == Mailing.owner_id)
        .where(Mailing.state == MailingState.SCHEDULED, Mailing.next_run_at <= now, *may_go_on)
    )
    running = (
        select(Delivery.id).where(Delivery.run_id == Run.id, Delivery.state == DeliveryState.PENDING).exists()
    )
    pending = (
        select(func.min(Run.started_at))
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(
            Run.state.in_([RunState.PLANNED, RunState.SENDING]),
            Mailing.state == MailingState.RUNNING,
            *may_go_on,
            running,
        )
    )
    deferred = (
        select(func.min(Delivery.due_at))
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(
            Delivery.state == DeliveryState.DEFERRED,
            Delivery.due_at <= now,
            Mailing.state == MailingState.RUNNING,
            *may_go_on,
        )
    )
    letters = select(func.min(OutboxLetter.due_at)).where(
        OutboxLetter.state == LetterState.PENDING, OutboxLetter.due_at <= now
    )
    found = [db.session.scalar(statement) for statement in (start, pending, deferred, letters)]
    return min((moment for moment in found if moment is not None), default=None)


def route_states() -> dict[str, BreakerState]:
    """Return the state of each route that was ever used."""
    return dict(db.session.execute(select(Route.name, Route.state)).tuples().all())
