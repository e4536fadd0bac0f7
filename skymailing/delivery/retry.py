"""Which outcome means what for a delivery, and when to try again."""

import random
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from skymailing.delivery.smtp import Result, Verdict
from skymailing.models import DeliveryState, OnUnknown, Outcome

# The waits before the second, third ... attempt; the last one repeats.
WAITS = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240)]
JITTER = 0.2  # a wait is this much shorter or longer, by chance
MAX_ATTEMPTS = 20
MAX_AGE = timedelta(hours=72)  # since the run started
LONGEST_HINT = timedelta(hours=24)  # a server that asks for more is asked again all the same
UNKNOWN_WAIT = timedelta(minutes=30)
MAX_UNKNOWNS = 2  # the second one stays

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
# Not the client's doing: no attempt is counted or logged for them.
UNCOUNTED = {Verdict.RELEASED, Verdict.ROUTE_FAULT, Verdict.SENDER_REFUSED}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a run's deliveries obey: when it started, and what follows an unknown."""

    started_at: datetime
    on_unknown: OnUnknown
    unknown_wait: timedelta = UNKNOWN_WAIT


@dataclass(frozen=True, slots=True)
class Step:
    """Where a delivery goes: its new state and, when it is deferred, until when."""

    state: DeliveryState
    due_at: datetime | None = None


def next_step(result: Result, unknowns: int, policy: Policy, now: datetime) -> Step:
    """Return what follows `result`; `unknowns` counts the delivery's earlier ones."""
    match result.verdict:
        case Verdict.SENT:
            return Step(DeliveryState.SENT)
        case Verdict.FAILED:
            return Step(DeliveryState.FAILED)
        case Verdict.UNKNOWN:
            if policy.on_unknown is OnUnknown.HOLD or unknowns + 1 >= MAX_UNKNOWNS:
                return Step(DeliveryState.UNKNOWN)
            return Step(DeliveryState.DEFERRED, now + policy.unknown_wait)
        case Verdict.DEFERRED:
            due_at = now + wait_after(result.letter.number, result.answer)
            if result.letter.number >= MAX_ATTEMPTS or due_at > policy.started_at + MAX_AGE:
                return Step(DeliveryState.FAILED)
            return Step(DeliveryState.DEFERRED, due_at)
        case _:
            return Step(DeliveryState.PENDING)


def wait_after(attempt: int, answer: str) -> timedelta:
    """Return how long to wait after the given attempt (from 1): what the server asks for, or our schedule."""
    hint = WAIT_HINT.search(answer)
    if hint:
        return min(LONGEST_HINT, max(timedelta(seconds=1), int(hint[1]) * UNITS[hint[2][0].lower()]))
    wait = WAITS[min(attempt, len(WAITS)) - 1]
    return wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing
