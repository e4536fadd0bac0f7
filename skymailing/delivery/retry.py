"""Decide the next state of a delivery after an attempt, and when to try again."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.smtp.session import Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.models import OPEN_DELIVERY_STATES, DeliveryState, OnUnknown, Outcome
from skymailing.settings.engine import EngineSettings

WAIT_HINT = re.compile(
    r"(?:try again|retry|wait)[^.;]{0,40}?\b(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?|h|hours?)\b",
    re.IGNORECASE,
)
UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}

OUTCOMES = {
    Verdict.SENT: Outcome.SENT,
    Verdict.DEFERRED: Outcome.DEFERRED,
    Verdict.FAILED: Outcome.FAILED,
    Verdict.UNKNOWN: Outcome.UNKNOWN,
}
# These verdicts are not the recipient's fault: no attempt is counted or logged.
UNCOUNTED = {Verdict.RELEASED, Verdict.THROTTLED, Verdict.ROUTE_FAULT, Verdict.SENDER_REFUSED}
# An unknown is not final: its owner decides.
FINAL_STATES = [
    state
    for state in DeliveryState
    if state not in OPEN_DELIVERY_STATES and state is not DeliveryState.UNKNOWN
]


@dataclass(frozen=True, slots=True)
class Policy:
    """The start, sending hours, choice for unknowns and settings that apply to a run's deliveries."""

    started_at: datetime
    hours: SendingHours
    on_unknown: OnUnknown
    settings: EngineSettings

    def gives_up(self, first_try: datetime, due_at: datetime) -> bool:
        """Return whether a letter would be too old at `due_at`; time outside sending hours is not counted."""
        return self.hours.measure_open_time(first_try, due_at) > timedelta(hours=self.settings.most_hours)


@dataclass(frozen=True, slots=True)
class Step:
    """The next state of a delivery and, if it is deferred, when it is due."""

    state: DeliveryState
    due_at: datetime | None = None

    def make_values(self, now: datetime) -> dict[str, Any]:
        """Return the column values of a delivery after this step, which ends its lease."""
        return {
            "state": self.state,
            "due_at": self.due_at,
            "lease_until": None,
            "finished_at": now if self.state in FINAL_STATES else None,
        }


@dataclass(frozen=True, slots=True)
class Series:
    """A letter's attempts since the first one, or since its owner last resent it."""

    count: int
    since: datetime


def choose_next_step(
    result: Result, unknowns: int, policy: Policy, now: datetime, luck: float, series: Series | None = None
) -> Step:
    """Return the step that follows `result`; `unknowns` counts the delivery's earlier unknowns.

    `luck`, from -1 to 1, varies the waits. Without `series` the letter is assumed to be as old as
    the run.
    """
    match result.verdict:
        case Verdict.SENT:
            return Step(DeliveryState.SENT)
        case Verdict.FAILED:
            return Step(DeliveryState.FAILED)
        case Verdict.UNKNOWN:
            if policy.on_unknown is OnUnknown.HOLD or unknowns + 1 >= policy.settings.most_unknowns:
                return Step(DeliveryState.UNKNOWN)
            return Step(DeliveryState.DEFERRED, now + timedelta(minutes=policy.settings.unknown_minutes))
        case Verdict.DEFERRED:
            series = series or Series(result.letter.number, policy.started_at)
            due_at = now + choose_wait(series.count, result.answer, policy.settings, luck)
            is_last = series.count >= policy.settings.most_attempts
            if is_last or policy.gives_up(series.since, due_at):
                return Step(DeliveryState.FAILED)
            return Step(DeliveryState.DEFERRED, due_at)
        case _:
            return Step(DeliveryState.PENDING)


def may_be_too_old(result: Result, policy: Policy, now: datetime) -> bool:
    """Return whether the letter's series of attempts is needed to decide whether to try again."""
    margin = timedelta(hours=policy.settings.most_hours - policy.settings.longest_hint_hours)
    is_old = result.letter.number >= policy.settings.most_attempts or now > policy.started_at + margin
    return result.verdict is Verdict.DEFERRED and is_old


def as_logged(result: Result, step: Step) -> Result:
    """Return the result to log: a deferred attempt that will not be repeated has failed."""
    is_last = step.state is DeliveryState.FAILED and result.verdict is Verdict.DEFERRED
    return result._replace(verdict=Verdict.FAILED) if is_last else result


def choose_wait(attempt: int, answer: str, settings: EngineSettings, luck: float) -> timedelta:
    """Return how long to wait after an attempt (from 1): as the server requests, or as in our schedule."""
    hint = WAIT_HINT.search(answer)
    if hint:
        longest = timedelta(hours=settings.longest_hint_hours)
        return min(longest, max(timedelta(seconds=1), int(hint[1]) * UNITS[hint[2][0].lower()]))
    waits = settings.retry_minutes
    return timedelta(minutes=waits[min(attempt, len(waits)) - 1] * (1 + settings.retry_jitter * luck))
