"""Remove expired data as part of the sweep or, if there is much of it, in a separate job."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from flask import current_app

from skymailing.db.engine import StopCheck
from skymailing.retention import caught, details, housekeeping, sequences
from skymailing.retention.batches import TimeBudget
from skymailing.settings.retention import find_cutoff, retention_settings

SECONDS_PER_SWEEP = 1.0  # a sweep runs every 15 seconds

Part = Callable[[TimeBudget], None]


@dataclass(frozen=True)
class Removal:
    """The number of removed rows by kind, and whether the time ended before all were removed."""

    removed: dict[str, int]
    has_more: bool


def remove_old(
    now: datetime, seconds: float = SECONDS_PER_SWEEP, should_stop: StopCheck | None = None
) -> Removal:
    """Remove expired data for at most `seconds`, or until `should_stop` returns True."""
    budget = TimeBudget(seconds, should_stop=should_stop)
    has_more = remove_parts(list(list_parts(now)), budget)
    budget.publish()
    return Removal(budget.removed, has_more)


def remove_parts(parts: list[Part], budget: TimeBudget) -> bool:
    """Give each part an equal share of the time, plus the time that other parts do not use.

    Return whether a part needs more time. The letters of old runs therefore need not wait until millions of
    other rows are removed.
    """
    while parts and not budget.is_used_up:
        unfinished = []
        for number, part in enumerate(parts):
            share = budget.share(len(parts) - number)
            part(share)
            if share.is_used_up:
                unfinished.append(part)
        parts = unfinished
    return bool(parts)


def list_parts(now: datetime) -> Iterator[Part]:
    """Yield a function for each kind of data that is not kept forever."""
    days = retention_settings()
    for kept, functions in (
        (days.account_letters, [housekeeping.remove_account_letters]),
        (days.imports, [housekeeping.remove_imports, housekeeping.remove_bulk_jobs]),
        (days.consents, [housekeeping.remove_orphaned_consents, housekeeping.remove_opt_outs]),
        (days.returned_letters, [housekeeping.remove_returned_letters]),
        (days.webhook_calls, [housekeeping.remove_webhook_events]),
        (days.audit, [housekeeping.remove_audit_entries]),
    ):
        if cutoff := find_cutoff(kept, now):
            yield from (_bind(function, cutoff) for function in functions)
    if (caught_until := find_cutoff(days.caught_letters, now)) and current_app.config["MAIL_CATCHER"]:
        yield lambda budget: housekeeping.remove_caught_letters(caught_until, now, budget)
    if run_until := find_cutoff(days.run_details, now):
        yield lambda budget: details.remove_old_details(run_until, now, budget)
        yield lambda budget: sequences.remove_enrolments(run_until, now, budget)
        yield lambda budget: housekeeping.forget_buyers(run_until, budget)
    yield lambda budget: caught.remove_caught(now, budget)


def _bind(function: Callable[[datetime, TimeBudget], None], cutoff: datetime) -> Part:
    return lambda budget: function(cutoff, budget)
