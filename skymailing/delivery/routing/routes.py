"""Routes: which mail server may be asked now, and with how many sessions at once.

What is known of a route stands in its row, shared by all workers; each change is one short
transaction of its own.
"""

import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum, auto

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.db.engine import insert_into, reading_engine
from skymailing.delivery.smtp.session import Result, Verdict
from skymailing.extensions import db
from skymailing.models import BreakerState, Route
from skymailing.settings.engine import EngineSettings, engine_settings

logger = logging.getLogger(__name__)

PRIMARY = "primary"  # the server of the MAIL_* settings
FALLBACK = "fallback"  # the server of the MAIL_FALLBACK_* settings, asked while the first is closed
CREDENTIALS_REFUSED = 535


class Admission(Enum):
    """Whether a route may be used: not now, by one letter that tries it, or freely."""

    CLOSED = auto()
    PROBE = auto()
    FREE = auto()


class Concurrency:
    """How many sessions to hold: one more for every few letters that succeed, half when the server groans."""

    def __init__(self, most: int, letters_to_grow: int) -> None:
        self.most = max(1, most)
        self.target = 1
        self._letters_to_grow = max(1, letters_to_grow)

    def learn(self, results: list[Result]) -> None:
        """Adapt to how a window went."""
        verdicts = Counter(result.verdict for result in results)
        if verdicts.keys() & {Verdict.ROUTE_FAULT, Verdict.UNKNOWN} or any(
            result.verdict is Verdict.DEFERRED and result.code is None for result in results
        ):
            self.target = max(1, self.target // 2)
        elif verdicts[Verdict.SENT]:
            grown = self.target + max(1, verdicts[Verdict.SENT] // self._letters_to_grow)
            self.target = min(self.most, grown)

    def start_over(self) -> None:
        """Grow from one session again, as after an outage."""
        self.target = 1


class FaultShare:
    """What share of a worker's recent attempts on one route were faults of the route."""

    def __init__(self, settings: EngineSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._events: deque[tuple[float, bool]] = deque(maxlen=1000)

    def note(self, faults: int, others: int) -> None:
        """Add what just happened."""
        now = self._monotonic()
        self._events.extend([(now, False)] * min(others, self._events.maxlen or 0))
        self._events.extend([(now, True)] * faults)

    def is_too_high(self) -> bool:
        """Whether faults make up at least half of ten or more attempts within the last minute."""
        since = self._monotonic() - self._settings.breaker_window_seconds
        recent = [is_fault for moment, is_fault in self._events if moment >= since]
        is_telling = len(recent) >= self._settings.breaker_least_attempts
        return is_telling and sum(recent) >= self._settings.breaker_fault_share * len(recent)


def configured() -> list[str]:
    """Return the names of the configured routes, the preferred one first."""
    return [PRIMARY, FALLBACK] if current_app.config["MAIL_FALLBACK"] else [PRIMARY]


def choose(now: datetime) -> tuple[str, Admission] | None:
    """Return the first route that may be used now and how; None while all are closed."""
    for name in configured():
        admission = admit(name, now)
        if admission is not Admission.CLOSED:
            return name, admission
    return None


def admit(name: str, now: datetime) -> Admission:
    """Return how the route may be used; while it is open, one caller after each pause may probe."""
    with Session(reading_engine()) as session:
        state = session.scalar(select(Route.state).where(Route.name == name))
    if state in (None, BreakerState.CLOSED):
        return Admission.FREE
    with Session(db.engine) as session, session.begin():
        route = _locked(session, name)
        if route.state is BreakerState.CLOSED:
            return Admission.FREE
        if _is_waiting(route, now):
            return Admission.CLOSED
        # This caller is the probe; should it die, another may follow after a while.
        route.state = BreakerState.PROBING
        route.retry_at = now + timedelta(seconds=engine_settings().breaker_probe_seconds)
        return Admission.PROBE


def give_back_probe(name: str, now: datetime) -> None:
    """Let another be the probe at once: this one found no letter to try the route with."""
    with Session(db.engine) as session, session.begin():
        route = _locked(session, name)
        if route.state is BreakerState.PROBING:
            route.state, route.retry_at = BreakerState.OPEN, now


def _is_waiting(route: Route, now: datetime) -> bool:
    """Whether a probe is still to wait; no longer than any pause is, should the clock have been ahead."""
    settings = engine_settings()
    longest = timedelta(seconds=settings.breaker_longest_pause * (1 + settings.breaker_jitter))
    return route.retry_at is not None and now < route.retry_at <= now + longest


def report_fault(
    name: str, code: int | None, reason: str, now: datetime, is_share_high: bool = False
) -> None:
    """Note a fault of the route itself.

    The breaker opens after too many in a row, at too high a share of faults, after a failed probe,
    and at once when the server refuses our credentials.
    """
    with Session(db.engine) as session, session.begin():
        route = _locked(session, name)
        route.faults_in_a_row += 1
        route.last_fault_at = now
        route.last_fault = reason[:500]
        must_open = (
            route.state is not BreakerState.CLOSED
            or route.faults_in_a_row >= engine_settings().breaker_faults_in_a_row
            or is_share_high
            or code == CREDENTIALS_REFUSED
        )
        if must_open:
            _open(route, code, now)


def _open(route: Route, code: int | None, now: datetime) -> None:
    if route.state is BreakerState.OPEN and _is_waiting(route, now):
        return  # another worker's fault has just opened it
    settings = engine_settings()
    doubled = min(settings.breaker_longest_pause, route.open_seconds * 2 or settings.breaker_first_pause)
    route.open_seconds = settings.breaker_longest_pause if code == CREDENTIALS_REFUSED else doubled
    route.opened_at = route.opened_at or now
    route.state = BreakerState.OPEN
    spread = random.uniform(1 - settings.breaker_jitter, 1 + settings.breaker_jitter)  # noqa: S311 - spreads load, guards nothing
    route.retry_at = now + timedelta(seconds=route.open_seconds * spread)
    level = logging.ERROR if code == CREDENTIALS_REFUSED else logging.WARNING
    logger.log(level, "route %s is closed until %s: %s", route.name, route.retry_at, route.last_fault)


def report_success(name: str, is_probe: bool = False) -> None:
    """Note that the route works: its faults in a row are over, and a probe closes the breaker.

    Letters that were on their way when it opened say nothing about whether it may close.
    """
    with Session(reading_engine()) as session:
        known = select(Route.state, Route.faults_in_a_row).where(Route.name == name)
        row = session.execute(known).one_or_none()
    if row and (row.state is not BreakerState.CLOSED and not is_probe):
        return
    if row and row.state is BreakerState.CLOSED and not row.faults_in_a_row:
        return
    with Session(db.engine) as session, session.begin():
        route = _locked(session, name)
        if route.state is BreakerState.CLOSED or is_probe:
            route.state = BreakerState.CLOSED
            route.faults_in_a_row = route.open_seconds = 0
            route.opened_at = route.retry_at = None


def _locked(session: Session, name: str) -> Route:
    first = {
        "name": name,
        "state": BreakerState.CLOSED,
        "open_seconds": 0,
        "faults_in_a_row": 0,
        "last_fault": "",
    }
    session.execute(insert_into(Route).on_conflict_do_nothing(), first)
    return session.scalars(select(Route).where(Route.name == name).with_for_update()).one()
