"""How fast a run is, where that leads, and what holds it up."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import case, func, literal_column, select

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.routing import routes
from skymailing.extensions import db
from skymailing.mailings import queries
from skymailing.mailings.queries import Ledger
from skymailing.models import (
    OPEN_STATES,
    Attempt,
    BreakerState,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Outcome,
    Route,
)

RATE_WINDOW = timedelta(minutes=1)
RATE_SAMPLE = 5_000  # attempts looked at, however many there are
# Attempts are recorded by the window: over a shorter time their number says nothing.
LEAST_SPAN = timedelta(seconds=5)
SETTLING = (Outcome.SENT, Outcome.FAILED)


@dataclass(frozen=True)
class Deferred:
    """Deliveries that wait for another try."""

    count: int = 0
    next_due: datetime | None = None
    last_due: datetime | None = None
    due: int = 0  # already
    after_end: int = 0  # due only when the window is over


@dataclass(frozen=True)
class Unclear:
    """Possible duplicates: deliveries that the server may have taken although nobody heard so."""

    waiting: int = 0  # for their owner's decision
    left: int = 0  # as they are, by the owner's decision
    resend: int = 0  # by themselves or by the owner's decision
    resend_at: datetime | None = None  # the first of them
    sent_again: int = 0  # and taken for sure the second time


@dataclass(frozen=True)
class RouteState:
    """Whether a mail server takes letters, and since when not."""

    name: str
    is_open: bool = False  # its circuit breaker: no letters are sent
    since: datetime | None = None
    retry_at: datetime | None = None  # none while it is being tried
    words: str = ""  # the server's, or the system's, at the last fault

    @property
    def is_fine(self) -> bool:
        return not self.is_open and not self.words

    @property
    def condition(self) -> str:
        """One word for it, for programs."""
        if self.is_open:
            return "open" if self.retry_at else "probing"
        return "fine" if self.is_fine else "faulty"


@dataclass(frozen=True)
class Progress:
    """A run at one moment; rate and forecast are there only while letters can leave."""

    ledger: Ledger
    now: datetime
    ends_at: datetime
    deferred: Deferred
    unclear: Unclear
    routes: tuple[RouteState, ...]
    rate: float | None = None  # letters settled per second
    finishes_at: datetime | None = None  # at this rate
    would_expire: int = 0  # at this rate
    rests_until: datetime | None = None  # outside its sending hours

    @property
    def time_left(self) -> timedelta | None:
        return self.finishes_at - self.now if self.finishes_at else None

    @property
    def is_held_up(self) -> bool:
        """Whether no mail server takes letters."""
        return bool(self.routes) and all(route.is_open for route in self.routes)


def measure_progress(mailing: Mailing, ledger: Ledger, now: datetime) -> Progress:
    """Return the progress of the mailing's run whose counts are given; cheap for runs of any size."""
    is_stopped = mailing.is_disabled or mailing.owner.is_blocked
    is_sending = mailing.state is MailingState.RUNNING and not is_stopped and ledger.open > 0
    progress = Progress(
        ledger=ledger,
        now=now,
        ends_at=mailing.ends_at,
        deferred=_deferred(ledger, mailing.ends_at, now),
        unclear=_unclear(ledger),
        routes=_routes() if is_sending else (),
    )
    if not is_sending:
        return progress
    hours = SendingHours.of(mailing)
    if not hours.is_open(now):
        return replace(progress, rests_until=hours.next_opening(now))
    if progress.is_held_up:
        return progress
    return _forecast(progress, _rate(mailing.id, ledger.run.started_at, now), hours)


def _rate(mailing_id: int, started_at: datetime, now: datetime) -> float | None:
    """Return how many letters were settled per second of late; None when that cannot be told yet."""
    since = max(now - RATE_WINDOW, started_at)
    newest = (
        select(Attempt.at, Attempt.outcome)
        .where(Attempt.mailing_id == mailing_id)
        .order_by(Attempt.id.desc())
        .limit(RATE_SAMPLE)
        .cte("newest")
    )
    is_recent, is_settled = newest.c.at > since, newest.c.outcome.in_(SETTLING)
    first_at = select(func.min(newest.c.at)).where(is_recent).scalar_subquery()
    # What was recorded with the first one took its time before it.
    is_after_first = newest.c.at > first_at
    statement = select(
        func.min(newest.c.at),
        func.count(),
        func.sum(case((is_settled, 1), else_=0)),
        func.sum(case((is_settled & is_after_first, 1), else_=0)),
    ).where(is_recent)
    first, count, settled, after_first = db.session.execute(statement).one()
    if not count:
        return 0.0
    if now - first < LEAST_SPAN and count < RATE_SAMPLE:
        return None
    counted, span = (after_first, now - first) if after_first else (settled, now - since)
    return float(counted) / max(span.total_seconds(), 1.0)


def _forecast(progress: Progress, rate: float | None, hours: SendingHours) -> Progress:
    """Add the rate and where it leads: when the run is over, or how many letters miss the end."""
    deferred = progress.deferred
    ready = progress.ledger[DeliveryState.PENDING] + progress.ledger[DeliveryState.SENDING] + deferred.due
    if not rate or not ready:
        # While all wait for their time, a rate says nothing about when they get through.
        return replace(progress, rate=rate, would_expire=deferred.after_end)
    to_settle = progress.ledger.open - deferred.after_end
    room = rate * hours.open_time(progress.now, progress.ends_at).total_seconds()
    would_expire = deferred.after_end + max(0, ceil(to_settle - room))
    if would_expire:
        return replace(progress, rate=rate, would_expire=would_expire)
    finishes_at = hours.after_open_time(progress.now, timedelta(seconds=to_settle / rate))
    if finishes_at is None:
        return replace(progress, rate=rate)
    return replace(progress, rate=rate, finishes_at=max(finishes_at, deferred.last_due or finishes_at))


def _deferred(ledger: Ledger, ends_at: datetime, now: datetime) -> Deferred:
    count = ledger[DeliveryState.DEFERRED]
    if not count:
        return Deferred()
    due = func.sum(case((Delivery.due_at <= now, 1), else_=0))
    after_end = func.sum(case((Delivery.due_at >= ends_at, 1), else_=0))
    statement = select(func.min(Delivery.due_at), func.max(Delivery.due_at), due, after_end).where(
        Delivery.run_id == ledger.run.id, Delivery.state == DeliveryState.DEFERRED
    )
    next_due, last_due, due_count, late_count = db.session.execute(statement).one()
    return Deferred(count, next_due, last_due, due_count or 0, late_count or 0)


def _unclear(ledger: Ledger) -> Unclear:
    # A literal, not a parameter: only so do both databases see that the index of the few fits. SQLite,
    # which knows no numbers of rows, would sometimes take another index all the same.
    has_unknowns = Delivery.unknowns > literal_column("0")
    # What was never tried again is no second letter: the mail server's own log told that it was sent.
    again = func.sum(case((Delivery.attempts > Delivery.unknowns, 1), else_=0))
    statement = (
        select(
            Delivery.state,
            func.count().label("total"),
            again.label("again"),
            func.min(Delivery.due_at).label("due_at"),
        )
        .with_hint(Delivery, "INDEXED BY ix_deliveries_unknowns", "sqlite")
        .where(Delivery.run_id == ledger.run.id, has_unknowns)
        .group_by(Delivery.state)
    )
    found = {row.state: row for row in db.session.execute(statement)}
    open_ones = [found[state] for state in OPEN_STATES if state in found]
    waiting = _count_waiting(ledger)
    return Unclear(
        waiting=waiting,
        left=ledger.unknown - waiting,
        resend=sum(row.total for row in open_ones),
        resend_at=min((row.due_at for row in open_ones if row.due_at), default=None),
        sent_again=int(found[DeliveryState.SENT].again) if DeliveryState.SENT in found else 0,
    )


def _count_waiting(ledger: Ledger) -> int:
    if not ledger.unknown:
        return 0
    waiting = select(func.count()).where(Delivery.run_id == ledger.run.id, queries.WAITS_FOR_DECISION)
    return db.session.scalar(waiting) or 0


def _routes() -> tuple[RouteState, ...]:
    """Return the configured routes in the order in which they are asked."""
    known = {route.name: route for route in db.session.scalars(select(Route))}
    return tuple(_route_state(name, known.get(name)) for name in routes.list_configured())


def _route_state(name: str, route: Route | None) -> RouteState:
    if route is None or (route.state is BreakerState.CLOSED and not route.faults_in_a_row):
        return RouteState(name)
    if route.state is BreakerState.CLOSED:
        return RouteState(name, since=route.last_fault_at, words=route.last_fault)
    retry_at = route.retry_at if route.state is BreakerState.OPEN else None
    return RouteState(name, is_open=True, since=route.opened_at, retry_at=retry_at, words=route.last_fault)
