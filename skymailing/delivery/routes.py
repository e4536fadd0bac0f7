"""Routes: whether a mail server may be asked now, and with how many sessions at once.

What is known of a route stands in its row, shared by all workers; each change is one short
transaction of its own.
"""

import random
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.delivery.smtp import Result, Verdict
from skymailing.extensions import db
from skymailing.models import BreakerState, Route

PRIMARY = "primary"  # the server of the MAIL_* settings
FAULTS_TO_OPEN = 5  # in a row
FIRST_PAUSE = 60  # seconds; doubles with every failed probe
LONGEST_PAUSE = 900  # seconds
PROBE_TIME = timedelta(seconds=60)  # after which a probe that reported nothing counts as lost
JITTER = 0.2


class Concurrency:
    """How many sessions to hold: one more while letters succeed, half when the server groans."""

    def __init__(self, most: int) -> None:
        self.most = max(1, most)
        self.target = 1

    def learn(self, results: list[Result]) -> None:
        """Adapt to how a window went."""
        verdicts = {result.verdict for result in results}
        if verdicts & {Verdict.ROUTE_FAULT, Verdict.UNKNOWN} or any(
            result.verdict is Verdict.DEFERRED and result.code is None for result in results
        ):
            self.target = max(1, self.target // 2)
        elif Verdict.SENT in verdicts:
            self.target = min(self.most, self.target + 1)


def admit(name: str, now: datetime) -> bool:
    """Whether the route may be used now; while it is open, one caller after each pause may probe."""
    with Session(db.engine) as session, session.begin():
        route = _locked(session, name)
        if route.state is BreakerState.CLOSED:
            return True
        if route.retry_at is not None and route.retry_at > now:
            return False
        # This caller is the probe; should it die, another may follow after a while.
        route.state = BreakerState.PROBING
        route.retry_at = now + PROBE_TIME
        return True


def report_fault(name: str, reason: str, now: datetime) -> None:
    """Note a fault of the route itself; too many in a row, or a failed probe, open the breaker."""
    with Session(db.engine) as session, session.begin():
        route = _locked(session, name)
        route.faults_in_a_row += 1
        route.last_fault_at = now
        route.last_fault = reason[:500]
        if route.state is BreakerState.CLOSED and route.faults_in_a_row < FAULTS_TO_OPEN:
            return
        route.opened_at = route.opened_at or now
        route.open_seconds = min(LONGEST_PAUSE, route.open_seconds * 2 or FIRST_PAUSE)
        route.state = BreakerState.OPEN
        spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing
        route.retry_at = now + timedelta(seconds=route.open_seconds * spread)


def report_success(name: str) -> None:
    """Note that the route works: the breaker closes."""
    with Session(db.engine) as session, session.begin():
        route = _locked(session, name)
        if route.state is BreakerState.CLOSED and not route.faults_in_a_row:
            return
        route.state = BreakerState.CLOSED
        route.faults_in_a_row = route.open_seconds = 0
        route.opened_at = route.retry_at = None


def _locked(session: Session, name: str) -> Route:
    route = session.scalar(select(Route).where(Route.name == name).with_for_update())
    if route is None:
        with session.begin_nested():
            route = Route(name=name)
            session.add(route)
    return route
