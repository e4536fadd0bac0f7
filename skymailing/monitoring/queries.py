"""Database queries for /metrics."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, case, exists, func, literal_column, or_, select

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.eligibility import RUN_HOURS, is_open, may_send, may_start
from skymailing.delivery.local_runs import is_due
from skymailing.delivery.routing import servers
from skymailing.delivery.sequences.advancing import IS_ACTIVE
from skymailing.delivery.sequences.sweep import select_due_steps
from skymailing.delivery.variants.samples import IS_PENDING_IN_SAMPLE, is_testing
from skymailing.extensions import db
from skymailing.letters import unknowns
from skymailing.mailings.queries import WAITS_FOR_DECISION
from skymailing.models import (
    COUNTED_STATES,
    OPEN_RUN_STATES,
    RATED_KINDS,
    ROUTE_PREFIX,
    BreakerState,
    Delivery,
    DeliveryState,
    EndpointState,
    Enrolment,
    Mailing,
    OutboxLetter,
    Reputation,
    ReturnedLetter,
    Route,
    Run,
    RunInterval,
    RunState,
    TransactionalLetter,
    UsageHour,
    User,
    WebhookCall,
    WebhookEndpoint,
)
from skymailing.models.outbox import LetterState
from skymailing.quotas import letters

RUNS_CHECKED = 1000  # only the latest ones, so that the cost does not grow over the years


def count_deliveries() -> dict[DeliveryState, int]:
    """Return the number of recipients of all runs in each state, as counted during the runs."""
    names = ["planned", *(state.value for state in COUNTED_STATES)]
    sums = [func.coalesce(func.sum(RunInterval.__table__.c[name]), 0) for name in names]
    planned, *counts = map(int, db.session.execute(select(*sums)).one())
    is_sending = Delivery.state == DeliveryState.SENDING
    sending = db.session.scalar(select(func.count()).select_from(Delivery).where(is_sending)) or 0
    pending = max(0, planned - sum(counts) - sending)
    return dict(zip(COUNTED_STATES, counts, strict=True)) | {
        DeliveryState.SENDING: sending,
        DeliveryState.PENDING: pending,
    }


def find_oldest_due(now: datetime) -> datetime | None:
    """Return the due time of the oldest work that is neither paused nor blocked; None if there is none."""
    start = (
        select(func.min(Mailing.next_run_at))
        .join(User, User.id == Mailing.owner_id)
        .where(may_start(now), Mailing.next_run_at <= now)
    )
    sending = _list_runs_that_may_send(now)
    # Letters that wait for the winner of a test are not due.
    is_pending = case((is_testing(), IS_PENDING_IN_SAMPLE), else_=Delivery.state == DeliveryState.PENDING)
    has_pending = select(Delivery.id).where(Delivery.run_id == Run.id, is_pending).exists()
    pending = select(func.min(Run.started_at)).where(Run.id.in_(sending), ~Run.is_local_time, has_pending)
    local = select(func.min(Delivery.not_before)).where(Delivery.run_id.in_(sending), is_due(now))
    deferred = select(func.min(Delivery.due_at)).where(
        Delivery.run_id.in_(sending), Delivery.state == DeliveryState.DEFERRED, Delivery.due_at <= now
    )
    letters = select(func.min(OutboxLetter.due_at)).where(
        OutboxLetter.state == LetterState.PENDING,
        OutboxLetter.due_at <= now,
        OutboxLetter.server_id.is_(None),
    )
    found = [db.session.scalar(statement) for statement in (start, pending, local, deferred, letters)]
    return min((due_at for due_at in found if due_at is not None), default=None)


def _list_runs_that_may_send(now: datetime) -> list[int]:
    """Return the open runs that may send now: no pause, block, sending hours or limit prevents it."""
    statement = (
        select(Run.id, *RUN_HOURS)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(Run.state.in_(OPEN_RUN_STATES), may_send(now), letters.has_room(now))
        # Operators need not act on letters that wait for their owner's server.
        .where(servers.may_be_used(now))
    )
    return [run.id for run in db.session.execute(statement) if is_open(run, now)]


def find_oldest_step(now: datetime) -> datetime | None:
    """Return the earliest due time of a client for a step whose letters may be sent now."""
    steps = [
        step.id
        for step in db.session.execute(select_due_steps(now))
        if SendingHours(step.weekdays, step.opens_at, step.closes_at, ZoneInfo(step.timezone)).is_open(now)
    ]
    first = select(func.min(Enrolment.due_at)).where(IS_ACTIVE)
    found = [db.session.scalar(first.where(Enrolment.step_id == step_id)) for step_id in steps]
    return min((due_at for due_at in found if due_at is not None), default=None)


@dataclass(frozen=True)
class Waiting:
    """Unsent letters or calls: their number, and for how many seconds the oldest has been due."""

    waiting: int
    oldest_age: float


def measure_outbox(now: datetime) -> Waiting:
    """Measure the unsent letters in the outbox; uses a partial index."""
    # The same text as in the index.
    is_open: ColumnElement[bool] = literal_column("outbox.state IN ('pending', 'sending')")
    statement = select(func.count(), func.min(OutboxLetter.due_at)).select_from(OutboxLetter)
    # As above, without letters that wait for their owner's server.
    statement = statement.where(is_open, OutboxLetter.server_id.is_(None))
    waiting, oldest = db.session.execute(statement).one()
    return Waiting(waiting, max(0.0, (now - oldest).total_seconds()) if oldest else 0.0)


def measure_webhook_calls(now: datetime) -> Waiting:
    """Measure the unsent calls of webhooks that are turned on and not paused; uses a partial index."""
    is_pending: ColumnElement[bool] = literal_column("webhook_calls.state = 'pending'")
    endpoint = WebhookEndpoint
    waiting = select(func.count()).select_from(WebhookCall).where(is_pending)
    # A call that waits for its next attempt or for its endpoint does not count as due.
    is_called = (endpoint.state == EndpointState.ENABLED) & (endpoint.faults == 0)
    due = select(func.min(WebhookCall.due_at)).join(endpoint, endpoint.id == WebhookCall.endpoint_id)
    oldest = db.session.scalar(due.where(is_pending, is_called, WebhookCall.due_at <= now))
    age = max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
    return Waiting(db.session.scalar(waiting) or 0, age)


def count_unbalanced_runs() -> int:
    """Return how many of the latest runs have a ledger that does not balance.

    While a run is open, its counted states must not exceed the planned number. Once it is over, they
    must equal it.
    """
    latest = select(Run.id).order_by(Run.id.desc()).limit(RUNS_CHECKED).scalar_subquery()
    settled = sum(
        (RunInterval.__table__.c[state.value] for state in COUNTED_STATES), start=literal_column("0")
    )
    total = func.coalesce(func.sum(settled), 0)
    is_over = Run.state.in_([RunState.FINISHED, RunState.CANCELLED])
    unbalanced = (
        select(Run.id)
        .outerjoin(RunInterval, RunInterval.run_id == Run.id)
        .where(Run.id.in_(latest))
        .group_by(Run.id, Run.planned, Run.state)
        .having(or_(total > Run.planned, and_(is_over, total != Run.planned)))
    )
    return db.session.scalar(select(func.count()).select_from(unbalanced.subquery())) or 0


def count_waiting_unknowns() -> int:
    """Return the number of unknown letters awaiting a decision; uses a partial index."""
    has_unknowns = Delivery.unknowns > literal_column("0")
    # This is a sum, because with a condition SQLite would choose another index and read all deliveries.
    is_letter = exists().where(TransactionalLetter.delivery_id == Delivery.id)
    waits = WAITS_FOR_DECISION | (unknowns.WAITS & is_letter)
    waiting = func.sum(case((waits, 1), else_=0))
    return db.session.scalar(select(waiting).where(has_unknowns)) or 0


def list_route_states() -> dict[str, BreakerState]:
    """Return the breaker state of each of the installation's routes that has ever been used."""
    ours = select(Route.name, Route.state).where(Route.name.not_like(f"{ROUTE_PREFIX}%"))
    return dict(db.session.execute(ours).tuples().all())


def count_server_states() -> dict[BreakerState, int]:
    """Return the number of users' mail server routes in each state; there are too many for labels."""
    routes = select(Route.state, func.count()).where(Route.name.like(f"{ROUTE_PREFIX}%"))
    return dict(db.session.execute(routes.group_by(Route.state)).tuples().all())


def count_unclear() -> int:
    """Return how many returned letters were not recognized or await a decision; uses a partial index."""
    is_unclear: ColumnElement[bool] = literal_column("returned_letters.state = 'unclear'")
    unclear = select(func.count()).select_from(ReturnedLetter).where(is_unclear)
    return db.session.scalar(unclear) or 0


def count_paused_owners() -> int:
    """Return the number of users whose mailings are paused because of bounces or complaints."""
    paused = select(func.count()).select_from(Reputation).where(Reputation.paused_at.is_not(None))
    return db.session.scalar(paused) or 0


def count_rated(since: datetime) -> dict[str, int]:
    """Return how many letters all users sent, and how many bounced or were reported as spam."""
    sums = (
        select(UsageHour.kind, func.sum(UsageHour.count))
        .where(UsageHour.kind.in_(RATED_KINDS), UsageHour.begins_at >= since)
        .group_by(UsageHour.kind)
    )
    found = {kind: int(count) for kind, count in db.session.execute(sums).tuples()}
    return {kind: found.get(kind, 0) for kind in RATED_KINDS}
