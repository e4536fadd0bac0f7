"""Learn how fast a route's mail server accepts letters: slow down at once, speed up gradually (AIMD).

A refusal of MAIL pauses the route for all workers, longer each time, because the server still counts the
letters that it received before. The refusal also lowers the pace, unless the pace was lowered just before.
While the pace is the bottleneck, it then grows linearly. Once it is far above the pace at the last refusal,
the server's limit is assumed to be gone.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import case, null, update
from sqlalchemy.orm import Session

from skymailing.delivery.routing.route_memory import RouteMemory, lock_route
from skymailing.extensions import db
from skymailing.models import Route
from skymailing.settings.engine import EngineSettings, engine_settings

logger = logging.getLogger(__name__)

# Letters per second. The first refusal may come before any rate could be measured.
LOWEST_PACE, LOWEST_FIRST_PACE = 1 / 60, 1.0


class Meter:
    """Measure how many letters per second the server has recently accepted from all workers."""

    def __init__(self, settings: EngineSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seconds = settings.pace_measure_seconds
        self._monotonic = monotonic
        self._counts: deque[tuple[float, int]] = deque()

    def add(self, letters: int) -> None:
        """Count letters that the server has just accepted from this worker."""
        now = self._monotonic()
        self._counts.append((now, letters))
        while self._counts[0][0] < now - self._seconds:
            self._counts.popleft()

    def estimate_rate(self) -> float:
        """Return the rate of all workers, assuming that the other workers are as fast as this one."""
        workers: int = max(1, current_app.config["WORKERS"])
        return workers * sum(count for _, count in self._counts) / self._seconds


def slow_down(name: str, reply: str, accepted_rate: float, now: datetime) -> None:
    """Pause the route after a refusal of MAIL, and lower its pace unless that was done just before.

    `accepted_rate` is how many letters per second the server accepted before.
    """
    with Session(db.engine) as session, session.begin():
        route = lock_route(session, name)
        route.last_refusal = reply[:500]
        if is_paused(route.paused_until, now):
            return  # another worker has just been refused too
        _lower(route, accepted_rate, now)
        settings = engine_settings()
        pause = settings.pace_first_pause * 2 ** min(route.refusals_in_a_row, 20)
        route.refusals_in_a_row += 1
        route.paused_until = now + timedelta(seconds=min(pause, settings.pace_longest_pause))
        route.pace_changed_at = now
        limit, until = f"{route.pace:.2f} letters per second", route.paused_until
    logger.warning("route %s is limited to %s, and paused until %s: %s", name, limit, until, reply)


def _lower(route: Route, accepted_rate: float, now: datetime) -> None:
    settings = engine_settings()
    since = now - timedelta(seconds=settings.pace_measure_seconds)
    if route.pace is None:
        pace = max(LOWEST_FIRST_PACE, accepted_rate * settings.pace_decrease)
    elif route.refusals_in_a_row or (route.pace_lowered_at and route.pace_lowered_at > since):
        return
    else:
        pace = max(LOWEST_PACE, route.pace * settings.pace_decrease)
    route.pace = route.pace_at_refusal = pace
    route.pace_lowered_at = now
    route.refusals_in_a_row = 0


def is_paused(until: datetime | None, now: datetime) -> bool:
    """Return whether a pause is still in effect.

    An end further away than the longest pause is ignored: the clock that set it must have been ahead.
    """
    longest = timedelta(seconds=engine_settings().pace_longest_pause)
    return until is not None and now < until <= now + longest


def report_accepted(name: str, memory: RouteMemory, is_held_back: bool, now: datetime) -> None:
    """Record that the server accepts letters; raise the pace if the pace limited sending.

    Writes only after a refusal, and then every few seconds.
    """
    settings = engine_settings()
    if memory.pace is None or memory.pace_changed_at is None:
        return
    cutoff = now - timedelta(seconds=settings.pace_increase_seconds)
    may_grow = is_held_back and memory.pace_changed_at <= cutoff
    if not may_grow and not memory.refusals_in_a_row:
        return
    changes: dict[str, object] = {"refusals_in_a_row": 0}
    with Session(db.engine) as session, session.begin():
        if may_grow:
            grown = Route.pace + Route.pace_at_refusal * settings.pace_increase
            is_limit_gone = grown > Route.pace_at_refusal * settings.pace_forget_factor
            changes |= {"pace": case((is_limit_gone, null()), else_=grown), "pace_changed_at": now}
        is_unchanged = Route.pace_changed_at == memory.pace_changed_at  # no other worker has changed it
        session.execute(update(Route).where(Route.name == name, is_unchanged).values(changes))
