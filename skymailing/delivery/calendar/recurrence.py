"""Calculate a mailing's occurrences by calendar days, weeks, months and years in its owner's time zone."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from skymailing.models import Mailing, Periodicity, RepeatUnit

SIMPLE = {
    Periodicity.DAILY: RepeatUnit.DAY,
    Periodicity.WEEKLY: RepeatUnit.WEEK,
    Periodicity.MONTHLY: RepeatUnit.MONTH,
    Periodicity.YEARLY: RepeatUnit.YEAR,
}
MONTHS = {RepeatUnit.MONTH: 1, RepeatUnit.YEAR: 12}
DAYS = {RepeatUnit.DAY: 1, RepeatUnit.WEEK: 7}


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When a mailing is repeated, counted from its start."""

    unit: RepeatUnit
    every: int = 1  # days, weeks, months or years
    weekdays: str = ""  # for weeks, in order, 1 is Monday; if empty, the weekday of the start
    on_last_day: bool = False  # for months: on their last day

    @classmethod
    def of(cls, mailing: Mailing) -> Self | None:
        """Return the recurrence of a mailing; None if it is sent once."""
        if mailing.periodicity is Periodicity.ONCE:
            return None
        if mailing.periodicity is not Periodicity.CUSTOM:
            return cls(SIMPLE[mailing.periodicity])
        return cls(
            mailing.repeat_unit, mailing.repeat_every, mailing.repeat_weekdays, mailing.repeat_on_last_day
        )

    def find_day(self, start: date, number: int) -> date:
        """Return the day of the occurrence with this number; 0 is the first one, not before `start`.

        Each month uses the day of `start` or, if the month is shorter, its last day: 31 January, 28 February,
        31 March.
        """
        if self.unit in MONTHS:
            day = _add_months(start, MONTHS[self.unit] * self.every * number)
            return day.replace(day=monthrange(day.year, day.month)[1]) if self.on_last_day else day
        if self.unit is RepeatUnit.WEEK and self.weekdays:
            weeks, index = divmod(number + self._count_skipped(start), len(self.weekdays))
            monday = start - timedelta(days=start.weekday())
            return monday + timedelta(weeks=weeks * self.every, days=int(self.weekdays[index]) - 1)
        return start + timedelta(days=DAYS[self.unit] * self.every * number)

    def estimate_number(self, start: date, day: date) -> int:
        """Return the number of an occurrence before `day`, or 0."""
        if self.unit in MONTHS:
            months = (day.year - start.year) * 12 + day.month - start.month
            return max(0, months // (MONTHS[self.unit] * self.every) - 1)
        if self.unit is RepeatUnit.WEEK and self.weekdays:
            monday = start - timedelta(days=start.weekday())
            weeks = (day - monday).days // (7 * self.every)
            return max(0, weeks * len(self.weekdays) - self._count_skipped(start) - 1)
        return max(0, (day - start).days // (DAYS[self.unit] * self.every) - 1)

    def _count_skipped(self, start: date) -> int:
        """Return how many of the weekdays have passed in the week of the start."""
        return sum(int(weekday) < start.isoweekday() for weekday in self.weekdays)


def find_occurrence(anchor: datetime, rule: Recurrence | None, zone: ZoneInfo, number: int) -> datetime:
    """Return the occurrence with this number, in UTC; 0 is the first one, usually the anchor itself.

    The local time is the same across clock changes. If the clock shows the time twice, the first one counts;
    if the clock skips the time, the occurrence is when it would have been.
    """
    if rule is None:
        return anchor.astimezone(UTC)
    local = anchor.astimezone(zone)
    day = rule.find_day(local.date(), number)
    if day == local.date():
        return anchor.astimezone(UTC)
    # An anchor in the repeated hour of a clock change must not affect other days.
    return datetime.combine(day, local.time().replace(fold=0), zone).astimezone(UTC)


def find_next_occurrence(
    anchor: datetime, rule: Recurrence | None, zone: ZoneInfo, after: datetime
) -> datetime | None:
    """Return the first occurrence later than `after`; None for a mailing that is sent once."""
    if rule is None:
        return None
    number = _estimate_number(anchor, rule, zone, after)
    while (candidate := find_occurrence(anchor, rule, zone, number)) <= after:
        number += 1
    return candidate


def find_latest_occurrence(
    anchor: datetime, rule: Recurrence | None, zone: ZoneInfo, until: datetime
) -> datetime:
    """Return the last occurrence not later than `until`; the first one if there is none."""
    if rule is None:
        return anchor
    number = _estimate_number(anchor, rule, zone, until)
    while find_occurrence(anchor, rule, zone, number + 1) <= until:
        number += 1
    return find_occurrence(anchor, rule, zone, number)


def find_occurrence_number(
    anchor: datetime, rule: Recurrence | None, zone: ZoneInfo, moment: datetime
) -> int | None:
    """Return the number of the occurrence exactly at `moment`; None if there is none."""
    if rule is None:
        return 0 if moment == anchor else None
    number = _estimate_number(anchor, rule, zone, moment)
    while (candidate := find_occurrence(anchor, rule, zone, number)) < moment:
        number += 1
    return number if candidate == moment else None


def _estimate_number(anchor: datetime, rule: Recurrence, zone: ZoneInfo, moment: datetime) -> int:
    """Return the number of an occurrence shortly before `moment`, at least 0."""
    return rule.estimate_number(anchor.astimezone(zone).date(), moment.astimezone(zone).date())


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
