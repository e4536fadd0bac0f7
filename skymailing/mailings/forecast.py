"""What a mailing's times come to before it starts: its next runs, whom they reach, how long they take."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from flask import current_app
from sqlalchemy import ColumnElement, func, select, true

from skymailing.delivery import plan
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.ledger.statistics import interval_seconds
from skymailing.extensions import db
from skymailing.mailings import queries, scheduling, services
from skymailing.mailings.selection import Selection
from skymailing.models import Client, Mailing, MailingState, Run, RunInterval, RunState, Suppression, User

SHOWN = 5
# From which runs the rate is known: the last large ones, looked for among so many.
LARGE_RUN = 200  # letters
RUNS_ASKED = 5
RUNS_LOOKED_AT = 1_000
BULK = 0.9  # of a run's letters; the rest are those that were tried again


@dataclass(frozen=True)
class Reach:
    """How many clients a mailing is for, and how many of them are never mailed."""

    audience: int
    suppressed: int

    @property
    def letters(self) -> int:
        return self.audience - self.suppressed


@dataclass(frozen=True)
class Occurrence:
    """One start to come."""

    at: datetime
    begins_at: datetime | None  # when letters leave first; none when no hour for it is left before the end
    finishes_at: datetime | None = None  # at the expected rate
    would_expire: int = 0  # at the expected rate

    @property
    def waits(self) -> bool:
        """Whether it falls outside the sending hours."""
        return self.begins_at is not None and self.begins_at > self.at


@dataclass(frozen=True)
class Forecast:
    """The next starts of a mailing; `reach` and `rate` are there when they can be known."""

    occurrences: tuple[Occurrence, ...]
    ends_at: datetime
    has_more: bool = False
    reach: Reach | None = None
    rate: float | None = None  # letters per second

    @property
    def would_expire(self) -> int:
        """The most letters that any one of the starts would leave unsent at the end."""
        return max((occurrence.would_expire for occurrence in self.occurrences), default=0)


def foresee_scheduled(mailing: Mailing, now: datetime) -> Forecast | None:
    """Return what is to come of a mailing as it stands; None when nothing is."""
    if mailing.is_disabled or mailing.state in (MailingState.FINISHED, MailingState.CANCELLED):
        return None
    hours = SendingHours.of(mailing)
    first = mailing.next_run_at or scheduling.first_start(
        mailing, hours.zone, scheduling.last_slot(mailing), now
    )
    if first is None:
        return None
    reach = Reach(services.audience_size(mailing), queries.count_suppressed(mailing))
    return foresee(mailing, hours, first, reach, now)


def foresee(
    mailing: Mailing, hours: SendingHours, first: datetime | None, reach: Reach | None, now: datetime
) -> Forecast:
    """Return the next starts of a mailing, saved or not, of which `first` is the next."""
    rate = expected_rate()
    found: list[Occurrence] = []
    moment = max(first, now) if first else None
    while moment is not None and moment < mailing.ends_at and len(found) < SHOWN:
        letters = reach.letters if reach else 0
        found.append(_occurrence(moment, mailing.ends_at, hours, letters, rate))
        moment = plan.next_start(mailing, hours, moment)
    has_more = moment is not None and moment < mailing.ends_at
    return Forecast(tuple(found), mailing.ends_at, has_more, reach, rate)


def _occurrence(
    at: datetime, ends_at: datetime, hours: SendingHours, letters: int, rate: float | None
) -> Occurrence:
    begins_at = hours.next_opening(at)
    if begins_at is None or begins_at >= ends_at:
        return Occurrence(at, None, would_expire=letters)
    if not rate or not letters:
        return Occurrence(at, begins_at)
    finishes_at = hours.after_open_time(at, timedelta(seconds=letters / rate))
    if finishes_at is not None and finishes_at <= ends_at:
        return Occurrence(at, begins_at, finishes_at)
    room = rate * hours.open_time(at, ends_at).total_seconds()
    return Occurrence(at, begins_at, would_expire=max(0, ceil(letters - room)))


def count_reach(owner: User, chosen: tuple[Selection, int] | None) -> Reach:
    """Return how many of the owner's clients there are and are never mailed; of those `chosen`, if any.

    How many are chosen is known to whoever asks.
    """
    conditions: list[ColumnElement[bool]] = list(chosen[0].conditions()) if chosen else [true()]
    # From the side of the suppressions, as they are few.
    is_same = (Client.owner_id == Suppression.owner_id) & (Client.email_key == Suppression.email_key)
    never = select(func.count()).select_from(Suppression).join(Client, is_same)
    never = never.where(Suppression.owner_id == owner.id)
    suppressed = sum(db.session.scalar(never.where(condition)) or 0 for condition in conditions)
    if chosen:
        return Reach(chosen[1], suppressed)
    own = select(func.count()).select_from(Client).where(Client.owner_id == owner.id)
    return Reach(db.session.scalar(own) or 0, suppressed)


def expected_rate() -> float | None:
    """Return how many letters per second a run may expect; None when there is nothing to tell it by."""
    config = current_app.config
    limits = [rate for rate in (config["MAIL_RATE"], config["MAIL_RATE_PER_MAILING"]) if rate]
    reached = None if limits else reached_rate()
    return float(min(limits)) if limits else reached


def reached_rate() -> float | None:
    """Return the rate of the service's last large runs; None when there were none."""
    newest = select(Run.id, Run.planned, Run.state).order_by(Run.id.desc()).limit(RUNS_LOOKED_AT).subquery()
    is_large = (newest.c.planned >= LARGE_RUN) & (newest.c.state == RunState.FINISHED)
    large = select(newest.c.id).where(is_large).order_by(newest.c.id.desc()).limit(RUNS_ASKED)
    rows = db.session.execute(
        select(RunInterval.run_id, RunInterval.begins_at, Run.started_at, RunInterval.sent)
        .join(Run, Run.id == RunInterval.run_id)
        .where(RunInterval.run_id.in_(large), RunInterval.sent > 0)
    )
    runs: dict[int, list[tuple[int, int]]] = {}
    for run_id, begins_at, started_at, sent in rows.tuples():
        runs.setdefault(run_id, []).append((sent, interval_seconds(begins_at, started_at)))
    letters = seconds = 0
    for intervals in runs.values():
        total = sum(sent for sent, _width in intervals)
        counted = 0
        # The busiest first: pauses, hours of rest and late further tries say nothing of the rate.
        for sent, width in sorted(intervals, key=lambda interval: -interval[0] / interval[1]):
            if counted < BULK * total:
                counted, seconds = counted + sent, seconds + width
        letters += counted
    return letters / seconds if seconds else None
