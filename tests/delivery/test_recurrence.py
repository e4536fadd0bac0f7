"""Test occurrences in the owner's time zone against a day-by-day search and an observed clock."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skymailing.delivery.calendar.recurrence import (
    find_latest_occurrence,
    find_next_occurrence,
    find_occurrence,
)
from skymailing.models import Periodicity

ZONES = ["UTC", "Europe/Moscow", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
BERLIN = ZoneInfo("Europe/Berlin")
RECURRING = [Periodicity.DAILY, Periodicity.WEEKLY, Periodicity.MONTHLY]
COUNTS = {Periodicity.DAILY: 368, Periodicity.WEEKLY: 54, Periodicity.MONTHLY: 27}
# In all these zones, clocks change at multiples of 15 minutes, and by multiples of 15 minutes.
QUARTER = timedelta(minutes=15)

times = st.builds(
    lambda days, quarters: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days) + quarters * QUARTER,
    st.integers(0, 5 * 365),
    st.integers(0, 95),
)
zones = st.sampled_from(ZONES).map(ZoneInfo)


@cache
def observe_clock(zone: ZoneInfo, year: int) -> dict[datetime, datetime]:
    """Read the local clock every quarter of an hour; return when it first showed each time of that year."""
    first_shown: dict[datetime, datetime] = {}
    now = datetime(year - 1, 12, 31, tzinfo=UTC)
    while now < datetime(year + 1, 1, 2, tzinfo=UTC):
        first_shown.setdefault(now.astimezone(zone).replace(tzinfo=None, fold=0), now)
        now += QUARTER
    return first_shown


def find_first_shown(day: date, hour: time, zone: ZoneInfo) -> datetime:
    """Return when the clock first shows that time, or would show it if it were not skipped."""
    wall, skipped = datetime.combine(day, hour), timedelta()
    while wall not in observe_clock(zone, day.year):
        wall, skipped = wall - QUARTER, skipped + QUARTER
    return observe_clock(zone, day.year)[wall] + skipped


def belongs_to_series(day: date, anchor: date, periodicity: Periodicity) -> bool:
    """Return whether a day belongs to the series, without computing occurrences."""
    if day < anchor:
        return False
    if periodicity is Periodicity.DAILY:
        return True
    if periodicity is Periodicity.WEEKLY:
        return day.weekday() == anchor.weekday()
    is_last_of_month = (day + timedelta(days=1)).month != day.month
    return day.day == anchor.day or (is_last_of_month and day.day < anchor.day)


def find_occurrences(
    anchor: datetime, periodicity: Periodicity, zone: ZoneInfo, first: date
) -> Iterator[datetime]:
    """Yield the occurrences from `first` on, found day by day with the observed clock."""
    local = anchor.astimezone(zone)
    day = first
    while True:
        if day == local.date():
            yield anchor
        elif belongs_to_series(day, local.date(), periodicity):
            yield find_first_shown(day, local.time().replace(fold=0), zone)
        day += timedelta(days=1)


@given(
    anchor=times,
    zone=zones,
    periodicity=st.sampled_from(RECURRING),
    later=st.timedeltas(timedelta(0), timedelta(800)),
)
@example(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN, Periodicity.DAILY, timedelta(days=153))
@example(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN, Periodicity.DAILY, timedelta(days=370))
def test_the_next_occurrence_is_the_next_matching_day(
    anchor: datetime, zone: ZoneInfo, periodicity: Periodicity, later: timedelta
) -> None:
    after = anchor + later
    days = find_occurrences(anchor, periodicity, zone, after.astimezone(zone).date() - timedelta(days=1))
    assert find_next_occurrence(anchor, periodicity, zone, after) == next(at for at in days if at > after)


@pytest.mark.parametrize("periodicity", RECURRING)
@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("first", [date(2028, 1, 29), date(2028, 1, 31), date(2026, 12, 30)])
@pytest.mark.parametrize("hour", [time(0), time(1, 45), time(2), time(2, 30), time(9), time(23, 45)])
def test_a_year_of_occurrences_agrees_with_the_calendar_and_the_clock(
    hour: time, first: date, name: str, periodicity: Periodicity
) -> None:
    zone = ZoneInfo(name)
    anchor = find_first_shown(first, hour, zone)
    expected = list(islice(find_occurrences(anchor, periodicity, zone, first), COUNTS[periodicity]))
    found = [anchor]
    for _ in expected[1:]:
        following = find_next_occurrence(anchor, periodicity, zone, found[-1])
        assert following is not None
        found.append(following)
    assert found == expected
    for at, following in pairwise(expected):
        assert find_latest_occurrence(anchor, periodicity, zone, at) == at
        assert find_latest_occurrence(anchor, periodicity, zone, following - timedelta(seconds=1)) == at


@given(
    anchor=times,
    zone=zones,
    periodicity=st.sampled_from(RECURRING),
    later=st.timedeltas(timedelta(0), timedelta(800)),
)
def test_the_next_occurrence_follows_the_latest_one(
    anchor: datetime, zone: ZoneInfo, periodicity: Periodicity, later: timedelta
) -> None:
    until = anchor + later
    latest = find_latest_occurrence(anchor, periodicity, zone, until)
    following = find_next_occurrence(anchor, periodicity, zone, until)
    assert latest <= until or latest == anchor
    assert following is not None
    assert find_next_occurrence(anchor, periodicity, zone, latest) == following


def test_a_monthly_series_on_the_31st_uses_the_last_day_of_shorter_months() -> None:
    anchor = datetime(2027, 1, 31, 9, 0, tzinfo=UTC)
    days = [
        find_occurrence(anchor, Periodicity.MONTHLY, ZoneInfo("UTC"), number).date() for number in range(15)
    ]
    assert days[1:4] == [date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]
    assert days[13] == date(2028, 2, 29)


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_the_local_hour_stays_the_same_across_a_clock_change(day: date) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    anchor = datetime(2026, 1, 1, 9, 0, tzinfo=berlin)
    for offset in (-1, 0, 1):
        number = (day - anchor.date()).days + offset
        found = find_occurrence(anchor, Periodicity.DAILY, berlin, number).astimezone(berlin)
        assert (found.hour, found.minute) == (9, 0)


def test_a_one_time_mailing_has_no_next_occurrence() -> None:
    anchor = datetime(2026, 1, 1, tzinfo=UTC)
    assert find_next_occurrence(anchor, Periodicity.ONCE, ZoneInfo("UTC"), anchor) is None
    assert find_latest_occurrence(anchor, Periodicity.ONCE, ZoneInfo("UTC"), anchor + timedelta(9)) == anchor
