"""Suggest a start time from past clicks: the weekday and the hours with the largest share of them."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, cast, extract, func, select, text

from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.extensions import db
from skymailing.models import RunInterval, User

DAYS = 90
FEWEST = 100  # people who clicked
SMALLEST_SHARE = 0.1  # of the clicks; evenly spread, it would be 1.8%
HOURS = 3
QUARTER = 900  # seconds; in all time zones, hours begin on quarter hours, which no interval crosses
SECONDS = 0.5
MARGIN = timedelta(minutes=15)  # enough time to finish the form


@dataclass(frozen=True, slots=True)
class GoodHour:
    """The hours of one weekday in which the most people clicked, and when they begin next."""

    starts_at: datetime
    ends_at: datetime
    people: int  # who clicked in these hours
    total: int


def find_good_hour(owner: User, now: datetime) -> GoodHour | None:
    """Return when people clicked most in the owner's time zone; None if too few did, or too evenly."""
    zone = ZoneInfo(owner.timezone)
    counts: Counter[tuple[int, int]] = Counter()
    with suppress(TookTooLong), limit_time(SECONDS):
        recent = (RunInterval.owner_id == owner.id) & (RunInterval.begins_at >= now - timedelta(days=DAYS))
        counts = count_clicks(recent, zone)
    total = counts.total()
    if total < FEWEST:
        return None
    starts = [(day, hour) for day in range(7) for hour in range(25 - HOURS)]
    sums = {(day, hour): sum(counts[day, hour + n] for n in range(HOURS)) for day, hour in starts}
    # Of equal sums, the last, because its first hour usually has clicks.
    (weekday, hour), people = max(sums.items(), key=lambda item: (item[1], item[0]))
    if people < total * SMALLEST_SHARE:
        return None
    starts_at = _find_next(weekday, hour, zone, now + MARGIN)
    return GoodHour(starts_at, starts_at + timedelta(hours=HOURS), people, total)


def count_clicks(in_intervals: ColumnElement[bool], zone: ZoneInfo) -> Counter[tuple[int, int]]:
    """Return how many people first clicked in a letter, by weekday and hour.

    Clicks that turn out to be a machine's are subtracted, perhaps in another hour.
    """
    quarter = cast(extract("epoch", RunInterval.begins_at), BigInteger) // QUARTER
    clicked = select(quarter, func.sum(RunInterval.clicked)).where(in_intervals, RunInterval.clicked != 0)
    counts: Counter[tuple[int, int]] = Counter()
    # GROUP BY positions: PostgreSQL treats each use of an expression with parameters as a different one.
    for number, people in db.session.execute(clicked.group_by(text("1"))):
        at = datetime.fromtimestamp(int(number) * QUARTER, zone)
        counts[at.weekday(), at.hour] += int(people)
    return counts


def _find_next(weekday: int, hour: int, zone: ZoneInfo, after: datetime) -> datetime:
    local = after.astimezone(zone)
    day = local.date() + timedelta(days=(weekday - local.weekday()) % 7)
    starts_at = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    if starts_at < local:
        day += timedelta(days=7)
        starts_at = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    return starts_at.astimezone(UTC)
