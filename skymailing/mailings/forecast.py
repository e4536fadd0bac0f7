"""Forecast a mailing's next runs: when they start, whom they reach and how long they take."""

import statistics
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import ceil

from flask import current_app
from sqlalchemy import func, select, true

from skymailing.caching.backend import CLIENTS, SUPPRESSIONS
from skymailing.caching.invalidation import shared_cache
from skymailing.db.text_search import is_sqlite
from skymailing.delivery.calendar import starts
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.ledger.run_counts import get_interval_width
from skymailing.delivery.routing.routes import list_configured
from skymailing.extensions import cache, db
from skymailing.mailings import scheduling
from skymailing.mailings.selection import Conditions
from skymailing.models import (
    Client,
    Mailing,
    MailingState,
    Route,
    Run,
    RunInterval,
    RunState,
    SmtpServer,
    Suppression,
    User,
)
from skymailing.quotas.checks import count_up_to, select_clients

STARTS_SHOWN = 5
EVERYONE_LIFETIME = 600  # seconds
MANY_CLIENTS = 100_000  # counting more takes longer than a page may take
# The rate is measured on the last RUNS_MEASURED large runs among the newest RUNS_SEARCHED.
LARGE_RUN = 200  # letters
RUNS_MEASURED = 5
RUNS_SEARCHED = 1_000
BULK = 0.9  # the share of a run's letters that is measured; the rest are mostly retries
# A run with fewer intervals was too fast to measure.
MIN_INTERVALS = 3
# If the rates of the measured runs differ by a larger factor, they do not predict the next run.
MAX_SPREAD = 3.0


@dataclass(frozen=True)
class Reach:
    """The number of clients in a mailing's audience, and the number of them that are suppressed."""

    audience: int
    suppressed: int

    @property
    def letters(self) -> int:
        return self.audience - self.suppressed


@dataclass(frozen=True)
class Occurrence:
    """One upcoming start."""

    at: datetime
    begins_at: datetime | None  # when sending begins; None if no sending hours are left
    finishes_at: datetime | None = None  # at the expected rate
    would_expire: int = 0  # at the expected rate

    @property
    def is_delayed(self) -> bool:
        """Whether the start falls outside the sending hours."""
        return self.begins_at is not None and self.begins_at > self.at


@dataclass(frozen=True)
class Forecast:
    """The next starts of a mailing; `reach` and `rate` are None if unknown."""

    occurrences: tuple[Occurrence, ...]
    ends_at: datetime
    has_more: bool = False
    reach: Reach | None = None
    rate: float | None = None  # letters per second

    @property
    def would_expire(self) -> int:
        """The largest number of letters that any of the starts would leave unsent at the end."""
        return max((occurrence.would_expire for occurrence in self.occurrences), default=0)


def find_next_start(mailing: Mailing, now: datetime) -> datetime | None:
    """Return the next start of a saved mailing; None if it will not start again."""
    if mailing.is_disabled or mailing.state in (MailingState.FINISHED, MailingState.CANCELLED):
        return None
    zone = SendingHours.of(mailing).zone
    return mailing.next_run_at or scheduling.find_first_start(
        mailing, zone, scheduling.find_last_slot(mailing), now
    )


def forecast_starts(
    mailing: Mailing, hours: SendingHours, first: datetime | None, reach: Reach | None, now: datetime
) -> Forecast:
    """Return the forecast for a mailing, saved or not, whose next start is `first`."""
    # At local time, letters wait for their clients' time, so the rate does not show when they are sent.
    server = mailing.sender.server if mailing.sender else None
    rate = None if mailing.is_local_time else estimate_rate(server)
    occurrences: list[Occurrence] = []
    moment = max(first, now) if first else None
    while moment is not None and moment < mailing.ends_at and len(occurrences) < STARTS_SHOWN:
        letters = reach.letters if reach else 0
        occurrences.append(_make_occurrence(moment, mailing.ends_at, hours, letters, rate))
        moment = starts.find_next_start(mailing, hours, moment)
    has_more = moment is not None and moment < mailing.ends_at
    return Forecast(tuple(occurrences), mailing.ends_at, has_more, reach, rate)


def _make_occurrence(
    at: datetime, ends_at: datetime, hours: SendingHours, letters: int, rate: float | None
) -> Occurrence:
    begins_at = hours.find_next_opening(at)
    if begins_at is None or begins_at >= ends_at:
        return Occurrence(at, None, would_expire=letters)
    if not rate or not letters:
        return Occurrence(at, begins_at)
    finishes_at = hours.add_open_time(at, timedelta(seconds=letters / rate))
    if finishes_at is not None and finishes_at <= ends_at:
        return Occurrence(at, begins_at, finishes_at)
    capacity = rate * hours.measure_open_time(at, ends_at).total_seconds()
    return Occurrence(at, begins_at, would_expire=max(0, ceil(letters - capacity)))


def count_everyone(owner: User, *, may_wait: bool = True) -> Reach | None:
    """Return the reach of a mailing to all clients, counted again only if clients or suppressions changed.

    PostgreSQL needs 70 ms for each of the two counts in an address book of a million, and a form needs them
    repeatedly. On SQLite, a transaction may have begun before the label was read, so nothing is cached.
    Return None if the clients are many, not yet counted, and `may_wait` is false.
    """
    if is_sqlite():
        return count_reach(owner, [true()], None)
    key, label = f"reach:{owner.id}", shared_cache().label(CLIENTS, SUPPRESSIONS)
    cached = cache.get(key) if label else None
    if cached and cached["label"] == label:
        return Reach(**cached["reach"])
    if not may_wait and count_up_to(select_clients(owner.id), MANY_CLIENTS) >= MANY_CLIENTS:
        return None
    reach = count_reach(owner, [true()], None)
    if label:
        cache.set(key, {"label": label, "reach": asdict(reach)}, timeout=EVERYONE_LIFETIME)
    return reach


def count_reach(owner: User, conditions: Conditions, selected: int | None) -> Reach:
    # Start from the suppressions, because there are few of them.
    is_same = (Client.owner_id == Suppression.owner_id) & (Client.email_key == Suppression.email_key)
    suppressed_clients = select(func.count()).select_from(Suppression).join(Client, is_same)
    suppressed_clients = suppressed_clients.where(Suppression.owner_id == owner.id)
    suppressed = sum(db.session.scalar(suppressed_clients.where(condition)) or 0 for condition in conditions)
    if selected is not None:
        return Reach(selected, suppressed)
    statement = select(func.count()).select_from(Client).where(Client.owner_id == owner.id)
    return Reach(
        sum(db.session.scalar(statement.where(condition)) or 0 for condition in conditions), suppressed
    )


def estimate_rate(server: SmtpServer | None = None) -> float | None:
    """Return the expected rate in letters per second; None if unknown.

    `server` is the sender's mail server, if it is not the installation's.
    """
    config = current_app.config
    if server is None:
        known = [config["MAIL_RATE"], read_pace(list_configured()[0]), measure_rate()]
    else:
        known = [(server.rate_per_minute or 0) / 60, read_pace(server.route)]
    known.append(config["MAIL_RATE_PER_MAILING"])
    return min((float(rate) for rate in known if rate), default=None)


def read_pace(route: str) -> float | None:
    """Return the letters per second that a mail server accepts; None if it has not shown a limit."""
    return db.session.scalar(select(Route.pace).where(Route.name == route))


def measure_rate() -> float | None:
    """Return the rate of the service's last large runs in letters per second.

    None if there were none that took long enough, or if their rates differ too much.
    """
    columns = (Run.id, Run.planned, Run.state, Run.test_ends_at)
    newest = select(*columns).order_by(Run.id.desc()).limit(RUNS_SEARCHED).subquery()
    is_large = (newest.c.planned >= LARGE_RUN) & (newest.c.state == RunState.FINISHED)
    # Most letters of an A/B test are sent hours after its start, when intervals are too long to show a rate.
    is_large &= newest.c.test_ends_at.is_(None)
    large = select(newest.c.id).where(is_large).order_by(newest.c.id.desc()).limit(RUNS_MEASURED)
    rows = db.session.execute(
        select(
            RunInterval.run_id, func.min(RunInterval.begins_at), Run.started_at, func.sum(RunInterval.sent)
        )
        .join(Run, Run.id == RunInterval.run_id)
        .where(RunInterval.run_id.in_(large), RunInterval.sent > 0)
        .group_by(RunInterval.run_id, RunInterval.elapsed, Run.started_at)  # all workers together
    )
    runs: dict[int, list[tuple[int, int]]] = {}
    for run_id, begins_at, started_at, sent in rows.tuples():
        runs.setdefault(run_id, []).append((int(sent), get_interval_width(begins_at, started_at)))
    rates = [rate for intervals in runs.values() if (rate := _measure_bulk_rate(intervals)) is not None]
    if not rates or max(rates) > MAX_SPREAD * min(rates):
        return None
    return statistics.geometric_mean(rates)


def _measure_bulk_rate(intervals: list[tuple[int, int]]) -> float | None:
    """Return the letters per second of a run, from the letters and seconds of its intervals; None if unknown.

    Only the busiest intervals count: pauses, closed hours and late retries say nothing about the rate.
    """
    total = sum(letters for letters, _seconds in intervals)
    counted = seconds = used = 0
    for letters, width in sorted(intervals, key=lambda interval: -interval[0] / interval[1]):
        if counted < BULK * total:
            counted, seconds, used = counted + letters, seconds + width, used + 1
    return counted / seconds if used >= MIN_INTERVALS else None
