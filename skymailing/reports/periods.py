"""From which day to which a report reaches, on the clock of one time zone."""

import functools
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from skymailing.errors import SkyMailingError
from skymailing.web.timezones import FIRST_YEAR, LAST_YEAR, day_ends, day_starts

MOST_DAYS = 366
USUAL_DAYS = 30


class PeriodTooLong(SkyMailingError):
    """A period has more days than a report tells one by one."""

    def __str__(self) -> str:
        return str(_("Choose at most %(days)d days.", days=MOST_DAYS))


class PeriodReversed(SkyMailingError):
    """A period ends before it begins."""

    def __str__(self) -> str:
        return str(_("The end of the period is before its beginning."))


class PeriodOutOfRange(SkyMailingError):
    """A day lies in a year that not every database and zone can do sums with."""

    def __str__(self) -> str:
        return str(_("Choose a year between 1970 and 9000."))


@dataclass(frozen=True)
class Period:
    """Whole days in a zone, the first and the last included."""

    since: date
    until: date
    zone: ZoneInfo

    @property
    def begins_at(self) -> datetime:
        return day_starts(self.since, self.zone)

    @property
    def ends_at(self) -> datetime:
        return day_ends(self.until, self.zone)

    @functools.cached_property
    def bounds(self) -> list[tuple[datetime, datetime]]:
        """Return when each day begins, and when it is over."""
        starts = [day_starts(day, self.zone) for day in self.days]
        return list(zip(starts, [*starts[1:], self.ends_at], strict=True))

    @property
    def stretches(self) -> list[tuple[int, int, int, int]]:
        """Return stretches of days of one length: number of the first, begin and end, seconds of each day.

        Begin and end are seconds since 1970. Days differ in length where clocks are changed.
        """
        found: list[tuple[int, int, int, int]] = []
        for number, bounds in enumerate(self.bounds):
            begin, end = (int(moment.timestamp()) for moment in bounds)
            if found and found[-1][3] == end - begin:
                found[-1] = (*found[-1][:2], end, end - begin)
            else:
                found.append((number, begin, end, end - begin))
        return found

    @property
    def days(self) -> list[date]:
        return [self.since + timedelta(days=number) for number in range((self.until - self.since).days + 1)]


def choose_period(since: date | None, until: date | None, zone: ZoneInfo, now: datetime) -> Period:
    """Return the period; without its ends, the last 30 days; raises the errors above."""
    usual = timedelta(days=USUAL_DAYS - 1)
    today = now.astimezone(zone).date()
    for day in (since, until):
        if day and not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise PeriodOutOfRange
    if until is None:
        until = max(today, since) if since else today
    if since is None:
        since = until - usual
    if until < since:
        raise PeriodReversed
    if (until - since).days >= MOST_DAYS:
        raise PeriodTooLong
    return Period(since, until, zone)
