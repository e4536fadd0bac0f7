"""The period of a report: whole days in one time zone."""

import functools
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from skymailing.errors import UserError
from skymailing.web.timezones import FIRST_YEAR, LAST_YEAR, end_of_day, start_of_day

MAX_DAYS = 366
DEFAULT_DAYS = 30
USUAL_DAYS = (7, DEFAULT_DAYS, 90, 365)  # lengths that a report offers


class InvalidPeriod(UserError):
    """A report cannot be made for this period."""


@dataclass(frozen=True)
class Period:
    """Whole days in a zone, the first and the last included."""

    since: date
    until: date
    zone: ZoneInfo

    @property
    def begins_at(self) -> datetime:
        return start_of_day(self.since, self.zone)

    @property
    def ends_at(self) -> datetime:
        return end_of_day(self.until, self.zone)

    @functools.cached_property
    def day_bounds(self) -> list[tuple[datetime, datetime]]:
        """The beginning and end of each day."""
        starts = [start_of_day(day, self.zone) for day in self.days]
        return list(zip(starts, [*starts[1:], self.ends_at], strict=True))

    @property
    def uniform_ranges(self) -> list[tuple[int, int, int, int]]:
        """Ranges of days of equal length: the number of the first day, start, end, and the length of a day.

        Start and end are seconds since 1970, and the length is in seconds. Days differ in length when the
        clocks change.
        """
        ranges: list[tuple[int, int, int, int]] = []
        for number, bounds in enumerate(self.day_bounds):
            start, end = (int(moment.timestamp()) for moment in bounds)
            if ranges and ranges[-1][3] == end - start:
                ranges[-1] = (*ranges[-1][:2], end, end - start)
            else:
                ranges.append((number, start, end, end - start))
        return ranges

    @property
    def before(self) -> "Period | None":
        """The period of the same length that ends the day before this one; None if it begins too early."""
        length = self.until - self.since + timedelta(days=1)
        if self.since < date(FIRST_YEAR, 1, 1) + length:
            return None
        return Period(self.since - length, self.until - length, self.zone)

    @functools.cached_property
    def days(self) -> list[date]:
        return [self.since + timedelta(days=number) for number in range((self.until - self.since).days + 1)]


def choose_period(since: date | None, until: date | None, zone: ZoneInfo, now: datetime) -> Period:
    """Return the period, by default the last 30 days; raises InvalidPeriod."""
    default_length = timedelta(days=DEFAULT_DAYS - 1)
    today = now.astimezone(zone).date()
    for day in (since, until):
        if day and not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise InvalidPeriod("report_period_out_of_range")
    if until is None:
        until = max(today, since) if since else today
    if since is None:
        since = until - default_length
    if until < since:
        raise InvalidPeriod("report_period_reversed")
    if (until - since).days >= MAX_DAYS:
        raise InvalidPeriod("report_period_too_long", days=MAX_DAYS)
    return Period(since, until, zone)


def list_usual_periods(zone: ZoneInfo, now: datetime) -> dict[int, Period]:
    """Return the periods of usual lengths that end today, by their number of days."""
    today = now.astimezone(zone).date()
    return {days: Period(today - timedelta(days=days - 1), today, zone) for days in USUAL_DAYS}
