"""Routes to mail servers, each with a circuit breaker (open = shut off, closed = healthy).

A route is chosen for the letters of one owner. If a letter may have caused the fault that opened the breaker,
the breaker is open for that owner, but other owners may probe the route at once; see `owner_pauses`.

All workers share a route's state, which is stored in its row. Each change is made in its own short
transaction.
"""

import logging
import random
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.delivery.routing import owner_pauses
from skymailing.delivery.routing.route_memory import COLUMNS, RouteMemory, lock_route
from skymailing.delivery.routing.servers import ServerAccess
from skymailing.delivery.smtp.connection import SmtpSettings
from skymailing.extensions import db
from skymailing.models import BreakerState, OwnerPause, Route
from skymailing.settings.engine import EngineSettings, engine_settings

logger = logging.getLogger(__name__)

PRIMARY = "primary"  # the server of the MAIL_* settings
FALLBACK = "fallback"  # the server of the MAIL_FALLBACK_* settings, used while the breaker is open
CREDENTIALS_REFUSED = 535
# In reply to a letter, these codes may be caused by its content.
PERHAPS_CAUSED_BY_LETTER = {421, 454}
# A 535 with a temporary status (RFC 3463) or text is about the server, not the credentials.
TEMPORARY_REFUSAL = re.compile(r"535[ -](4\.\d|(?!5\.\d).*temporar)", re.IGNORECASE)


class Admission(Enum):
    """The use of a route that is allowed now."""

    REFUSED = auto()
    PROBE = auto()  # for one letter, while the breaker is open
    TRIAL = auto()  # for one letter, after a pause of its owner
    FREE = auto()


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """A route, how an owner's letters may use it, and what it remembers about its mail server."""

    route: str
    admission: Admission
    memory: RouteMemory
    owner_id: int

    @property
    def is_free(self) -> bool:
        """Whether more than one letter may be sent."""
        return self.admission is Admission.FREE

    @property
    def is_probe(self) -> bool:
        return self.admission is Admission.PROBE


class FaultShare:
    """The share of route faults among a worker's recent attempts on one route."""

    def __init__(self, settings: EngineSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._events: deque[tuple[float, bool]] = deque(maxlen=1000)

    def record(self, faults: int, others: int) -> None:
        """Add the latest attempts: the number with a fault of the route, and the number without."""
        now = self._monotonic()
        self._events.extend([(now, False)] * min(others, self._events.maxlen or 0))
        self._events.extend([(now, True)] * faults)

    def is_too_high(self) -> bool:
        """Return whether, by default, at least half of ten or more attempts in a minute were faults."""
        since = self._monotonic() - self._settings.breaker_window_seconds
        recent = [is_fault for at, is_fault in self._events if at >= since]
        is_enough = len(recent) >= self._settings.breaker_least_attempts
        return is_enough and sum(recent) >= self._settings.breaker_fault_share * len(recent)


def list_configured() -> list[str]:
    """Return the names of the configured routes, the preferred one first."""
    return [PRIMARY, FALLBACK] if current_app.config["MAIL_FALLBACK"] else [PRIMARY]


def settings_of(name: str) -> SmtpSettings:
    """Return the address and the credentials of a configured route's mail server."""
    found: SmtpSettings = (
        current_app.config["MAIL_FALLBACK"] if name == FALLBACK else current_app.extensions["mail"]
    )
    return found


def choose(now: datetime, owner_id: int, server: ServerAccess | None = None) -> RouteChoice | None:
    """Return the first route that the owner's letters may use, and how; None if there is none.

    If the letters have to use `server`, only its route is considered.
    """
    for name in [server.route] if server else list_configured():
        choice = admit(name, now, owner_id)
        if choice.admission is not Admission.REFUSED:
            return choice
    return None


def admit(name: str, now: datetime, owner_id: int) -> RouteChoice:
    """Return how the owner's letters may use the route.

    While its breaker is open, one caller per pause may probe it.
    """
    is_owners = (OwnerPause.route == Route.name) & (OwnerPause.owner_id == owner_id)
    statement = select(Route.state, OwnerPause.until, *COLUMNS).outerjoin(OwnerPause, is_owners)
    with Session(reading_engine()) as session:
        row = session.execute(statement.where(Route.name == name)).one_or_none()
    if row is None:
        admission = Admission.FREE
    elif row.until and now < row.until:
        admission = Admission.REFUSED
    elif row.state is not BreakerState.CLOSED:
        admission = _probe(name, now, owner_id)
    else:
        admission = Admission.TRIAL if row.until else Admission.FREE
    return RouteChoice(name, admission, RouteMemory.of(row), owner_id)


def _probe(name: str, now: datetime, owner_id: int) -> Admission:
    with Session(db.engine) as session, session.begin():
        route = lock_route(session, name)
        if route.state is BreakerState.CLOSED:
            return Admission.FREE
        is_others_fault = (
            route.state is BreakerState.OPEN
            and route.blamed_owner_id is not None
            and route.blamed_owner_id != owner_id
        )
        if _must_wait(route, now) and not is_others_fault:
            return Admission.REFUSED
        # This caller probes. If it dies, another one may probe after breaker_probe_seconds.
        route.state = BreakerState.PROBING
        route.retry_at = now + timedelta(seconds=engine_settings().breaker_probe_seconds)
        return Admission.PROBE


def release_probe(name: str, now: datetime) -> None:
    """Let another caller probe at once, because this one found no letter to try the route with."""
    with Session(db.engine) as session, session.begin():
        route = lock_route(session, name)
        if route.state is BreakerState.PROBING:
            route.state, route.retry_at = BreakerState.OPEN, now


def _must_wait(route: Route, now: datetime) -> bool:
    """Return whether a probe must still wait; for at most the longest pause, in case the clock was ahead."""
    settings = engine_settings()
    longest = timedelta(seconds=settings.breaker_longest_pause * (1 + settings.breaker_jitter))
    return route.retry_at is not None and now < route.retry_at <= now + longest


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a route: its code, if it is a reply, and a reason that begins with the code."""

    code: int | None
    reason: str
    owner_id: int | None = None  # the owner of the letter that got this reply; None if there was no letter

    @property
    def are_credentials_refused(self) -> bool:
        return self.code == CREDENTIALS_REFUSED and TEMPORARY_REFUSAL.match(self.reason) is None

    @property
    def blamed_owner_id(self) -> int | None:
        """The owner whose letter may have caused the fault."""
        return self.owner_id if self.code in PERHAPS_CAUSED_BY_LETTER else None

    def is_of_another_owner(self, owner_id: int | None) -> bool:
        """Return whether two different owners may have caused this fault and the previous one."""
        return owner_id is not None and self.blamed_owner_id not in (None, owner_id)


def report_fault(name: str, fault: Fault, now: datetime, must_open: bool = False) -> None:
    """Record a fault of the route itself, and open the breaker if needed.

    The breaker opens after too many faults in a row, after a failed probe, if the server refuses our
    credentials, and if `must_open`, for example because the share of faults is too high.
    """
    with Session(db.engine) as session, session.begin():
        route = lock_route(session, name)
        if route.state is not BreakerState.CLOSED and fault.is_of_another_owner(route.blamed_owner_id):
            owner_pauses.start(session, route, now)
        route.blamed_owner_id = fault.blamed_owner_id
        route.faults_in_a_row += 1
        route.last_fault_at = now
        route.last_fault = fault.reason[:500]
        must_open = (
            must_open
            or route.state is not BreakerState.CLOSED
            or route.faults_in_a_row >= engine_settings().breaker_faults_in_a_row
            or fault.are_credentials_refused
        )
        if must_open:
            _open(route, fault.are_credentials_refused, now)


def _open(route: Route, are_credentials_refused: bool, now: datetime) -> None:
    if route.state is BreakerState.OPEN and _must_wait(route, now):
        return  # another worker has just opened it
    settings = engine_settings()
    doubled = min(settings.breaker_longest_pause, route.open_seconds * 2 or settings.breaker_first_pause)
    route.open_seconds = settings.breaker_longest_pause if are_credentials_refused else doubled
    route.opened_at = route.opened_at or now
    route.state = BreakerState.OPEN
    spread = random.uniform(1 - settings.breaker_jitter, 1 + settings.breaker_jitter)  # noqa: S311 - spreads load, not used for security
    route.retry_at = now + timedelta(seconds=route.open_seconds * spread)
    level = logging.ERROR if are_credentials_refused else logging.WARNING
    logger.log(
        level, "the breaker of route %s is open until %s: %s", route.name, route.retry_at, route.last_fault
    )


def report_success(name: str, now: datetime, probe_owner_id: int | None = None) -> None:
    """Record that the route works: reset its count of faults; a successful probe closes the breaker.

    If the probe was the letter of an owner other than the blamed one, the blamed one is paused. Letters that
    were in progress when the breaker opened do not close it.
    """
    is_probe = probe_owner_id is not None
    with Session(reading_engine()) as session:
        known = select(Route.state, Route.faults_in_a_row).where(Route.name == name)
        row = session.execute(known).one_or_none()
    if row and (row.state is not BreakerState.CLOSED and not is_probe):
        return
    if row and row.state is BreakerState.CLOSED and not row.faults_in_a_row:
        return
    with Session(db.engine) as session, session.begin():
        route = lock_route(session, name)
        if route.state is BreakerState.CLOSED or is_probe:
            if is_probe and route.blamed_owner_id not in (None, probe_owner_id):
                owner_pauses.start(session, route, now)
            route.state = BreakerState.CLOSED
            route.faults_in_a_row = route.open_seconds = 0
            route.opened_at = route.retry_at = route.blamed_owner_id = None
