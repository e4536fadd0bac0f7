"""Measure the growth of an owner's list in the period of a report.

Deleted clients are unknown, so the clients added are those that are still in the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import case, func, select, text

from skymailing.db.pagination import BoundedCount, count_up_to
from skymailing.db.text_search import is_sqlite
from skymailing.extensions import db
from skymailing.models import Client
from skymailing.reports.aggregates import count_seconds, number_day_of_seconds
from skymailing.reports.periods import Period
from skymailing.reports.queries import Figures

# No index has the time at which clients were added. Their IDs ascend with it, so the newest are read.
READ_LIMIT = 20_000
TOTAL_LIMIT = 100_000  # counted in an index, which is faster
MAX_DAILY_BARS = 62
DAYS_PER_BAR = 7  # in longer periods
EARLIER = -1  # the number of all days before the period and the one before it


@dataclass(frozen=True, slots=True)
class Bar:
    """Some days of the period: the clients added, and how often people unsubscribed or complained."""

    since: date
    until: date
    added: int
    left: int


@dataclass(frozen=True, slots=True)
class Growth:
    """The growth of a list in a period; numbers that are unknown are None."""

    added: BoundedCount
    added_before: int | None
    left: int
    clients: BoundedCount | None  # at the end of the period: known only for today
    bars: list[Bar]

    @property
    def is_empty(self) -> bool:
        return not (self.added.number or self.added_before or self.left)


@dataclass(frozen=True, slots=True)
class NewestClients:
    """The newest clients by the number of the day on which they were added; None is after the period."""

    counts: dict[int | None, int]
    oldest_day: int | None  # the day of the oldest of them

    @property
    def total(self) -> BoundedCount:
        number = sum(self.counts.values())
        return BoundedCount(number, is_exact=number < READ_LIMIT)

    def find_first_complete(self) -> int | None:
        """Return the first day of which at least some clients were read; None if there is none."""
        return 0 if self.total.is_exact else self.oldest_day


def measure_growth(
    owner_id: int, period: Period, days: Sequence[tuple[date, Figures]], now: datetime
) -> Growth | None:
    """Return the growth in the period, whose figures `days` has; None if too many clients are newer."""
    before = period.before
    whole = Period(before.since if before else period.since, period.until, period.zone)
    newest = _read_newest(owner_id, whole)
    offset = len(whole.days) - len(days)  # the number of the period's first day
    first_read = newest.find_first_complete()
    if first_read is None:
        return None
    added = [newest.counts.get(offset + number, 0) for number in range(len(days))]
    is_complete = newest.total.is_exact or first_read < offset
    is_before_complete = before is not None and (newest.total.is_exact or first_read == EARLIER)
    left = [figures.counts["unsubscribed"] + figures.counts["complaints"] for _day, figures in days]
    has_today = period.since <= now.astimezone(period.zone).date() <= period.until
    measured = list(zip((day for day, _figures in days), added, left, strict=True))
    return Growth(
        BoundedCount(sum(added), is_exact=is_complete),
        sum(newest.counts.get(number, 0) for number in range(offset)) if is_before_complete else None,
        sum(left),
        _count_clients(owner_id, newest) if has_today else None,
        _draw_bars(measured[0 if is_complete else first_read - offset :], len(days)),
    )


def _read_newest(owner_id: int, period: Period) -> NewestClients:
    at = Client.created_at
    whole = func.substr(at, 1, len("2026-11-20 12:00:00")) if is_sqlite() else func.date_trunc("second", at)
    # Computed once per client here, but again for each use if it were outside the limited subquery.
    newest = select(Client.id, count_seconds(whole).label("seconds")).where(Client.owner_id == owner_id)
    read = newest.order_by(Client.id.desc()).limit(READ_LIMIT).subquery()
    is_earlier = read.c.seconds < int(period.begins_at.timestamp())
    day = case((is_earlier, EARLIER), else_=number_day_of_seconds(period, read.c.seconds))
    statement = select(day, func.count(), func.min(read.c.id)).group_by(text("1"))
    rows = db.session.execute(statement).all()
    oldest = min(rows, key=lambda row: row[2], default=None)
    return NewestClients({row[0]: row[1] for row in rows}, oldest[0] if oldest else None)


def _count_clients(owner_id: int, newest: NewestClients) -> BoundedCount:
    if newest.total.is_exact:
        return newest.total
    return count_up_to(select(Client).where(Client.owner_id == owner_id), TOTAL_LIMIT)


def _draw_bars(days: list[tuple[date, int, int]], length: int) -> list[Bar]:
    """Return the bars for some days of a period of this length; in long periods, for seven days each."""
    size = 1 if length <= MAX_DAILY_BARS else DAYS_PER_BAR
    # The last bar is for whole seven days, too.
    first = len(days) % size
    parts = [days[:first], *(days[start : start + size] for start in range(first, len(days), size))]
    return [
        Bar(part[0][0], part[-1][0], sum(row[1] for row in part), sum(row[2] for row in part))
        for part in parts
        if part
    ]
