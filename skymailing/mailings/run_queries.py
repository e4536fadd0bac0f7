"""What a run's page reads: its course, the servers' answers and the domains, as counted while it went."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from skymailing.db.engine import LARGEST_ID
from skymailing.delivery.ledger.statistics import floor_to, interval_seconds
from skymailing.extensions import db
from skymailing.models import DeliveryState, Mailing, Outcome, Run, RunAnswer, RunDomain, RunInterval, User

MOST_BARS = 60
# Bars of a round length: seconds, minutes, quarters of an hour, hours.
BAR_SECONDS = (1, 10, 60, 300, 900, 3600, 3 * 3600, 6 * 3600)
ANSWERS_SHOWN = 12
DOMAINS_SHOWN = 8
COURSE = (DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.EXPIRED)


@dataclass(frozen=True)
class Bar:
    """What happened in one stretch of a run."""

    begins_at: datetime
    counts: dict[DeliveryState, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Answer:
    """What servers said alike to letters that they did not take, and how often."""

    outcome: Outcome
    code: int | None
    words: str
    attempts: int


def find_run(owner: User, run_id: int) -> Run | None:
    """Return the run of that id if it is one of the owner's mailings."""
    if run_id > LARGEST_ID:
        return None
    own = (Run.id == run_id) & (Mailing.owner_id == owner.id)
    return db.session.scalar(select(Run).join(Mailing, Mailing.id == Run.mailing_id).where(own))


def course_of(run: Run) -> list[Bar]:
    """Return the run's course as at most 60 bars of one length, those without anything included."""
    table = RunInterval.__table__
    statement = select(RunInterval.begins_at, *(table.c[state.value] for state in COURSE)).where(
        RunInterval.run_id == run.id
    )
    rows = [row for row in db.session.execute(statement).tuples() if any(row[1:])]
    if not rows:
        return []
    first, last = min(row[0] for row in rows), max(row[0] for row in rows)
    widest = max(interval_seconds(row[0], run.started_at) for row in rows)
    seconds = _bar_seconds((last - first).total_seconds(), widest)
    begin = floor_to(first, seconds)
    count = int((last - begin).total_seconds()) // seconds + 1
    bars = [
        Bar(begin + timedelta(seconds=number * seconds), dict.fromkeys(COURSE, 0)) for number in range(count)
    ]
    for begins_at, *counts in rows:
        bar = bars[int((begins_at - begin).total_seconds()) // seconds]
        for state, number in zip(COURSE, counts, strict=True):
            bar.counts[state] += number
    return bars


def _bar_seconds(span: float, widest: int) -> int:
    fitting = (seconds for seconds in BAR_SECONDS if seconds >= widest and span / seconds < MOST_BARS)
    days = int(span // 86_400 // MOST_BARS + 1)
    return next(fitting, days * 86_400)


def top_answers(run: Run) -> list[Answer]:
    """Return the most frequent refusals of the run, those for good first."""
    attempts = func.sum(RunAnswer.attempts)
    statement = (
        select(RunAnswer.outcome, RunAnswer.code, RunAnswer.words, attempts)
        .where(RunAnswer.run_id == run.id)
        .group_by(RunAnswer.outcome, RunAnswer.code, RunAnswer.words)
        .order_by(attempts.desc(), RunAnswer.words)
        .limit(ANSWERS_SHOWN)
    )
    rows = db.session.execute(statement)
    answers = [Answer(outcome, code, words, int(count)) for outcome, code, words, count in rows]
    return sorted(answers, key=lambda answer: answer.outcome is not Outcome.FAILED)


def worst_domains(run: Run) -> list[RunDomain]:
    """Return the domains whose letters were refused most often."""
    refused = RunDomain.failed + RunDomain.unknown + RunDomain.deferred
    statement = select(RunDomain).where(RunDomain.run_id == run.id)
    statement = statement.order_by(RunDomain.failed.desc(), refused.desc(), RunDomain.domain)
    return list(db.session.scalars(statement.limit(DOMAINS_SHOWN)))
