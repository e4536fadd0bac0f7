"""Find runs, and query the timeline, refusals and domains shown on a run's page."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, func, select

from skymailing.db.engine import LARGEST_ID
from skymailing.delivery.ledger.run_counts import floor_to, get_interval_width
from skymailing.extensions import db
from skymailing.models import (
    OPEN_RUN_STATES,
    DeliveryState,
    Mailing,
    MailingKind,
    Outcome,
    Run,
    RunAnswer,
    RunDomain,
    RunInterval,
    RunState,
    User,
)

MAX_BARS = 60
# The possible durations of a bar: round numbers of seconds, minutes and hours.
BAR_SECONDS = (1, 10, 60, 300, 900, 3600, 3 * 3600, 6 * 3600)
REFUSALS_SHOWN = 12
DOMAINS_SHOWN = 8
TIMELINE_STATES = (DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.EXPIRED)


@dataclass(frozen=True)
class Bar:
    """One interval of a run's timeline."""

    begins_at: datetime
    counts: dict[DeliveryState, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Refusal:
    """A mail server's refusal, and how many attempts received it."""

    outcome: Outcome
    code: int | None
    words: str
    attempts: int


PAGE_KINDS = (MailingKind.MAILING, MailingKind.SEQUENCE)  # whose runs have pages


def find_run(owner: User, run_id: int, kinds: Collection[MailingKind] = PAGE_KINDS) -> Run | None:
    """Return the run with this ID if it belongs to one of the owner's mailings of these kinds."""
    if run_id > LARGEST_ID:
        return None
    condition = (Run.id == run_id) & (Mailing.owner_id == owner.id) & Mailing.kind.in_(kinds)
    return db.session.scalar(select(Run).join(Mailing, Mailing.id == Run.mailing_id).where(condition))


def find_last_run(mailing: Mailing) -> Run | None:
    """Return the mailing's latest run that was not skipped, with its current values in the database."""
    return db.session.scalar(
        select(Run)
        .where(Run.mailing_id == mailing.id, Run.state != RunState.SKIPPED)
        .order_by(Run.scheduled_for.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )


def find_open_run(mailing: Mailing) -> Run | None:
    """Return the run that is planned or being sent; None if there is none."""
    run = find_last_run(mailing)
    return run if run and run.state in OPEN_RUN_STATES else None


def has_runs(mailing: Mailing) -> bool:
    """Return whether the mailing has runs, whose history must be kept."""
    return bool(db.session.scalar(select(exists().where(Run.mailing_id == mailing.id))))


def build_timeline(run: Run) -> list[Bar]:
    """Return the run's timeline as at most 60 bars of equal length, including empty ones."""
    table = RunInterval.__table__
    statement = select(RunInterval.begins_at, *(table.c[state.value] for state in TIMELINE_STATES)).where(
        RunInterval.run_id == run.id
    )
    rows = [row for row in db.session.execute(statement).tuples() if any(row[1:])]
    if not rows:
        return []
    first, last = min(row[0] for row in rows), max(row[0] for row in rows)
    widest = max(get_interval_width(row[0], run.started_at) for row in rows)
    seconds = _choose_bar_seconds((last - first).total_seconds(), widest)
    start = floor_to(first, seconds)
    count = int((last - start).total_seconds()) // seconds + 1
    bars = [
        Bar(start + timedelta(seconds=number * seconds), dict.fromkeys(TIMELINE_STATES, 0))
        for number in range(count)
    ]
    for begins_at, *counts in rows:
        bar = bars[int((begins_at - start).total_seconds()) // seconds]
        for state, number in zip(TIMELINE_STATES, counts, strict=True):
            bar.counts[state] += number
    return bars


def _choose_bar_seconds(span: float, widest: int) -> int:
    fitting = (seconds for seconds in BAR_SECONDS if seconds >= widest and span / seconds < MAX_BARS)
    days = int(span // 86_400 // MAX_BARS + 1)
    return next(fitting, days * 86_400)


def list_top_refusals(run: Run) -> list[Refusal]:
    """Return the run's most frequent refusals, permanent ones first."""
    attempts = func.sum(RunAnswer.attempts)
    statement = (
        select(RunAnswer.outcome, RunAnswer.code, RunAnswer.words, attempts)
        .where(RunAnswer.run_id == run.id)
        .group_by(RunAnswer.outcome, RunAnswer.code, RunAnswer.words)
        .order_by(attempts.desc(), RunAnswer.words)
        .limit(REFUSALS_SHOWN)
    )
    rows = db.session.execute(statement)
    refusals = [Refusal(outcome, code, text, int(count)) for outcome, code, text, count in rows]
    return sorted(refusals, key=lambda refusal: refusal.outcome is not Outcome.FAILED)


def list_worst_domains(run: Run) -> list[RunDomain]:
    """Return the domains that refused the most letters."""
    refused = RunDomain.failed + RunDomain.unknown + RunDomain.deferred
    statement = select(RunDomain).where(RunDomain.run_id == run.id)
    statement = statement.order_by(RunDomain.failed.desc(), refused.desc(), RunDomain.domain)
    return list(db.session.scalars(statement.limit(DOMAINS_SHOWN)))


def list_refused_states(domains: Collection[RunDomain]) -> list[DeliveryState]:
    """Return the states in which letters to these domains ended after a refusal, without those of none."""
    states = (DeliveryState.FAILED, DeliveryState.DEFERRED, DeliveryState.UNKNOWN)
    return [state for state in states if any(getattr(domain, state.value) for domain in domains)]
