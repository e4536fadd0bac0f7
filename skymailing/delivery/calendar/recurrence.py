"""Calculate a mailing's occurrences by calendar days, weeks and months in its owner's time zone."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from skymailing.models import Periodicity


def find_occurrence(anchor: datetime, periodicity: Periodicity, zone: ZoneInfo, number: int) -> datetime:
    """Return the occurrence with this number (0 is the anchor itself), in UTC.

    The local time is the same across clock changes, and each month uses the anchor's day or, if it
    is shorter, its last day: 31 January, 28 February, 31 March. If the clock shows the time twice, the first
    one counts; if it skips the time, the occurrence is when that time would have been.
    """
    if number == 0 or periodicity is Periodicity.ONCE:
        return anchor.astimezone(UTC)
    local = anchor.astimezone(zone)
    match periodicity:
        case Periodicity.DAILY:
            day = local.date() + timedelta(days=number)
        case Periodicity.WEEKLY:
            day = local.date() + timedelta(weeks=number)
        case Periodicity.MONTHLY:
            day = _add_months(local.date(), number)
    # An anchor in the second of two equal hours must not affect other days.
    return datetime.combine(day, local.time().replace(fold=0), zone).astimezone(UTC)


def find_next_occurrence(
    anchor: datetime, periodicity: Periodicity, zone: ZoneInfo, after: datetime
) -> datetime | None:
    """Return the first occurrence later than `after`; None for a mailing that is sent once."""
    if periodicity is Periodicity.ONCE:
        return None
    number = _estimate_number(anchor, periodicity, zone, after)
    while (candidate := find_occurrence(anchor, periodicity, zone, number)) <= after:
        number += 1
    return candidate


def find_latest_occurrence(
    anchor: datetime, periodicity: Periodicity, zone: ZoneInfo, until: datetime
) -> datetime:
    """Return the last occurrence not later than `until`; the anchor if there is none."""
    if periodicity is Periodicity.ONCE or until <= anchor:
        return anchor
    number = _estimate_number(anchor, periodicity, zone, until)
    while find_occurrence(anchor, periodicity, zone, number + 1) <= until:
        number += 1
    return find_occurrence(anchor, periodicity, zone, number)


def find_occurrence_number(
    anchor: datetime, periodicity: Periodicity, zone: ZoneInfo, moment: datetime
) -> int | None:
    """Return the number of the occurrence exactly at `moment`; None if there is none."""
    number = _estimate_number(anchor, periodicity, zone, moment)
    while (candidate := find_occurrence(anchor, periodicity, zone, number)) < moment:
        number += 1
    return number if candidate == moment else None


def _estimate_number(anchor: datetime, periodicity: Periodicity, zone: ZoneInfo, moment: datetime) -> int:
    """Return the number of an occurrence shortly before `moment`, at least 0."""
    start, end = anchor.astimezone(zone).date(), moment.astimezone(zone).date()
    if periodicity is Periodicity.MONTHLY:
        number = (end.year - start.year) * 12 + end.month - start.month
    else:
        number = (end - start).days // (7 if periodicity is Periodicity.WEEKLY else 1)
    return max(0, number - 1)


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
