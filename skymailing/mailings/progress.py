"""Measure a run's progress: its rate, its forecast and what delays it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import case, func, literal_column, select

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.local_runs import IS_PENDING
from skymailing.delivery.routing import routes
from skymailing.extensions import db
from skymailing.mailings import queries
from skymailing.mailings.queries import Ledger
from skymailing.models import (
    OPEN_DELIVERY_STATES,
    ROUTE_PREFIX,
    Attempt,
    BreakerState,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Outcome,
    OwnerPause,
    Route,
)
from skymailing.quotas.letters import ReachedLimit, find_reached

RATE_WINDOW = timedelta(minutes=1)
RATE_SAMPLE = 5_000  # attempts examined at most
# Attempts are recorded in batches, so their number over a shorter time does not show the rate.
MIN_SPAN = timedelta(seconds=5)
FINAL_OUTCOMES = (Outcome.SENT, Outcome.FAILED)


@dataclass(frozen=True)
class Deferred:
    """Deliveries that will be tried again later."""

    count: int = 0
    next_due: datetime | None = None
    last_due: datetime | None = None
    due: int = 0  # already due
    after_end: int = 0  # due only after the end of the window


@dataclass(frozen=True)
class Unknowns:
    """Possible duplicates: letters that the server may have accepted, although its reply was lost."""

    waiting: int = 0  # until the owner decides
    left: int = 0  # unknown, because the owner decided not to resend them
    resend: int = 0  # to be sent again, automatically or by the owner's decision
    resend_at: datetime | None = None  # when the first one is due
    sent_again: int = 0  # and accepted that time


@dataclass(frozen=True)
class RouteState:
    """Whether a mail server accepts letters and, if not, when it stopped."""

    name: str
    is_open: bool = False  # the circuit breaker is open: no letters are sent
    since: datetime | None = None
    retry_at: datetime | None = None  # None while it is being probed
    answer: str = ""  # the server's reply or the system's error at the last fault
    pace: float | None = None  # letters per second, since the server asked us to slow down
    refusal: str = ""  # the reply with which it asked us to slow down
    is_step_by_step: bool = False  # its PIPELINING does not work
    is_owner_paused: bool = False  # it accepts only other users' letters

    @property
    def is_chosen(self) -> bool:
        """Whether it is the mail server of the run's sender, not the installation's."""
        return self.name.startswith(ROUTE_PREFIX)

    @property
    def is_usable(self) -> bool:
        return not self.is_open and not self.is_owner_paused

    @property
    def is_fine(self) -> bool:
        return self.is_usable and not self.answer

    @property
    def condition(self) -> str:
        """The state in one word, for programs."""
        if self.is_open:
            return "open" if self.retry_at else "probing"
        if self.is_owner_paused:
            return "paused"
        return "fine" if self.is_fine else "faulty"


@dataclass(frozen=True)
class Progress:
    """A run's progress at `now`; rate and forecast are None unless letters can be sent."""

    ledger: Ledger
    now: datetime
    ends_at: datetime
    deferred: Deferred
    unknowns: Unknowns
    may_resend: bool
    routes: tuple[RouteState, ...]
    rate: float | None = None  # letters finished per second
    finishes_at: datetime | None = None  # at this rate
    would_expire: int = 0  # at this rate
    hours_open_at: datetime | None = None  # when sending continues; None within the sending hours
    zones_due_at: datetime | None = None  # when the next time zones' letters are due; None if some are now
    limit: ReachedLimit | None = None  # the owner's limit that delays the letters

    @property
    def time_left(self) -> timedelta | None:
        return self.finishes_at - self.now if self.finishes_at else None

    @property
    def is_blocked(self) -> bool:
        """Whether no mail server accepts letters."""
        return bool(self.routes) and not any(route.is_usable for route in self.routes)


def measure_progress(mailing: Mailing, ledger: Ledger, now: datetime) -> Progress:
    """Return the progress of the mailing's run that has this ledger; fast for runs of any size."""
    is_stopped = mailing.is_disabled or mailing.owner.is_blocked
    is_sending = mailing.state is MailingState.RUNNING and not is_stopped and ledger.open > 0
    progress = Progress(
        ledger=ledger,
        now=now,
        ends_at=mailing.ends_at,
        deferred=_count_deferred(ledger, mailing.ends_at, now),
        unknowns=_count_unknowns(ledger),
        may_resend=queries.may_resend(mailing, now),
        routes=_list_routes(mailing.owner_id, ledger.run.server_id, now) if is_sending else (),
    )
    if not is_sending:
        return progress
    if ledger.run.is_local_time:
        return replace(progress, zones_due_at=_find_next_zone(ledger, now))
    hours = SendingHours.of(mailing)
    if not hours.is_open(now):
        return replace(progress, hours_open_at=hours.find_next_opening(now))
    if ledger.run.is_testing:
        # Most letters wait for the winner, so the rate does not predict when they will be sent.
        return progress
    if limit := find_reached(mailing.owner, now):
        waits_too_long = limit.frees_at >= mailing.ends_at
        return replace(progress, limit=limit, would_expire=ledger.open if waits_too_long else 0)
    if progress.is_blocked:
        return progress
    return _add_forecast(progress, _measure_rate(mailing.id, ledger.run.started_at, now), hours)


def _find_next_zone(ledger: Ledger, now: datetime) -> datetime | None:
    """Return when the next letters of a run at local time are due; None if some are due now."""
    first = db.session.scalar(
        select(func.min(Delivery.not_before)).where(Delivery.run_id == ledger.run.id, IS_PENDING)
    )
    return first if first is not None and first > now else None


def _measure_rate(mailing_id: int, started_at: datetime, now: datetime) -> float | None:
    """Return the recent rate in finished letters per second; None if it is too early to know."""
    since = max(now - RATE_WINDOW, started_at)
    newest = (
        select(Attempt.at, Attempt.outcome)
        .where(Attempt.mailing_id == mailing_id)
        .order_by(Attempt.id.desc())
        .limit(RATE_SAMPLE)
        .cte("newest")
    )
    is_recent, is_final = newest.c.at > since, newest.c.outcome.in_(FINAL_OUTCOMES)
    first_at = select(func.min(newest.c.at)).where(is_recent).scalar_subquery()
    # Attempts recorded together with the first one were made before it and do not count.
    is_after_first = newest.c.at > first_at
    statement = select(
        func.min(newest.c.at),
        func.count(),
        func.sum(case((is_final, 1), else_=0)),
        func.sum(case((is_final & is_after_first, 1), else_=0)),
    ).where(is_recent)
    first, count, finished, after_first = db.session.execute(statement).one()
    if not count:
        return 0.0
    if now - first < MIN_SPAN and count < RATE_SAMPLE:
        return None
    counted, span = (after_first, now - first) if after_first else (finished, now - since)
    return float(counted) / max(span.total_seconds(), 1.0)


def _add_forecast(progress: Progress, rate: float | None, hours: SendingHours) -> Progress:
    """Add the rate, and when the run will finish or how many letters will not be sent before the end."""
    deferred = progress.deferred
    ready = progress.ledger[DeliveryState.PENDING] + progress.ledger[DeliveryState.SENDING] + deferred.due
    if not rate or not ready:
        # While all letters are waiting for a retry, the rate does not predict when they will be sent.
        return replace(progress, rate=rate, would_expire=deferred.after_end)
    remaining = progress.ledger.open - deferred.after_end
    capacity = rate * hours.measure_open_time(progress.now, progress.ends_at).total_seconds()
    would_expire = deferred.after_end + max(0, ceil(remaining - capacity))
    if would_expire:
        return replace(progress, rate=rate, would_expire=would_expire)
    finishes_at = hours.add_open_time(progress.now, timedelta(seconds=remaining / rate))
    if finishes_at is None:
        return replace(progress, rate=rate)
    return replace(progress, rate=rate, finishes_at=max(finishes_at, deferred.last_due or finishes_at))


def _count_deferred(ledger: Ledger, ends_at: datetime, now: datetime) -> Deferred:
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


def _count_unknowns(ledger: Ledger) -> Unknowns:
    # A literal, not a parameter: otherwise the databases do not see that the partial index applies.
    # SQLite also needs the hint: without statistics, it sometimes chooses another index.
    has_unknowns = Delivery.unknowns > literal_column("0")
    # A letter that was confirmed from the mail server's log was not sent a second time.
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
    rows_by_state = {row.state: row for row in db.session.execute(statement)}
    to_resend = [rows_by_state[state] for state in OPEN_DELIVERY_STATES if state in rows_by_state]
    waiting = _count_waiting(ledger)
    return Unknowns(
        waiting=waiting,
        left=ledger.unknown - waiting,
        resend=sum(row.total for row in to_resend),
        resend_at=min((row.due_at for row in to_resend if row.due_at), default=None),
        sent_again=int(rows_by_state[DeliveryState.SENT].again) if DeliveryState.SENT in rows_by_state else 0,
    )


def _count_waiting(ledger: Ledger) -> int:
    if not ledger.unknown:
        return 0
    waiting = select(func.count()).where(Delivery.run_id == ledger.run.id, queries.WAITS_FOR_DECISION)
    return db.session.scalar(waiting) or 0


def _list_routes(owner_id: int, server_id: int | None, now: datetime) -> tuple[RouteState, ...]:
    """Return the run's routes in order of use, with their state for the owner."""
    names = routes.list_configured() if server_id is None else [f"{ROUTE_PREFIX}{server_id}"]
    is_owners = (
        (OwnerPause.route == Route.name) & (OwnerPause.owner_id == owner_id) & (OwnerPause.until > now)
    )
    known = select(Route, OwnerPause).outerjoin(OwnerPause, is_owners).where(Route.name.in_(names))
    rows = db.session.execute(known).tuples()
    found = {route.name: _read_route(route, pause) for route, pause in rows}
    return tuple(found.get(name, RouteState(name)) for name in names)


def _read_route(route: Route, pause: OwnerPause | None) -> RouteState:
    state = RouteState(
        route.name,
        pace=route.pace,
        refusal=route.last_refusal,
        is_step_by_step=route.step_by_step_since is not None,
    )
    if route.state is not BreakerState.CLOSED:
        retry_at = route.retry_at if route.state is BreakerState.OPEN else None
        return replace(state, is_open=True, since=route.opened_at, retry_at=retry_at, answer=route.last_fault)
    if pause:
        return replace(state, is_owner_paused=True, retry_at=pause.until, answer=pause.reply)
    if route.faults_in_a_row:
        return replace(state, since=route.last_fault_at, answer=route.last_fault)
    return state
