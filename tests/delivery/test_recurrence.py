"""Test occurrences in the owner's time zone against a day-by-day search with a simulated local clock."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skymailing.delivery.calendar.recurrence import (
    Recurrence,
    find_latest_occurrence,
    find_next_occurrence,
    find_occurrence,
    find_occurrence_number,
)
from skymailing.models import RepeatUnit

ZONES = ["UTC", "Europe/Moscow", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
BERLIN = ZoneInfo("Europe/Berlin")
DAY, WEEK, MONTH, YEAR = RepeatUnit
DAILY, WEEKLY, MONTHLY, YEARLY = (Recurrence(unit) for unit in RepeatUnit)
RULES = [
    *(DAILY, WEEKLY, MONTHLY, YEARLY, Recurrence(DAY, 3), Recurrence(WEEK, 2), Recurrence(MONTH, 5)),
    *(Recurrence(WEEK, 1, "135"), Recurrence(WEEK, 3, "27"), Recurrence(WEEK, 1, "1234567")),
    *(Recurrence(MONTH, 1, on_last_day=True), Recurrence(MONTH, 2, on_last_day=True), Recurrence(YEAR, 4)),
]
COUNTS = {DAILY: 368, WEEKLY: 54, MONTHLY: 27}  # occurrences to compare
# In all these zones, clocks change at and by multiples of 15 minutes.
QUARTER = timedelta(minutes=15)

times = st.builds(
    lambda days, quarters: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days) + quarters * QUARTER,
    st.integers(0, 5 * 365),
    st.integers(0, 95),
)
zones = st.sampled_from(ZONES).map(ZoneInfo)


@cache
def observe_clock(zone: ZoneInfo, year: int) -> dict[datetime, datetime]:
    """Return when the local clock first shows each quarter of an hour of a year."""
    first_shown: dict[datetime, datetime] = {}
    now, end = datetime(year - 1, 12, 31, tzinfo=UTC), datetime(year + 1, 1, 2, tzinfo=UTC)
    while now < end:
        first_shown.setdefault(now.astimezone(zone).replace(tzinfo=None, fold=0), now)
        now += QUARTER
    return first_shown


def find_first_shown(day: date, hour: time, zone: ZoneInfo) -> datetime:
    """Return when the clock first shows that time, or would show it if the clock did not skip it."""
    local, skipped = datetime.combine(day, hour), timedelta()
    while local not in observe_clock(zone, day.year):
        local, skipped = local - QUARTER, skipped + QUARTER
    return observe_clock(zone, day.year)[local] + skipped


def belongs_to_series(day: date, anchor: date, rule: Recurrence) -> bool:
    """Return whether a day belongs to the series, without computing occurrences."""
    if day < anchor:
        return False
    if rule.unit is DAY:
        return (day - anchor).days % rule.every == 0
    if rule.unit is WEEK:
        mondays = [date_ - timedelta(days=date_.weekday()) for date_ in (anchor, day)]
        is_in_week = (mondays[1] - mondays[0]).days // 7 % rule.every == 0
        return is_in_week and str(day.isoweekday()) in (rule.weekdays or str(anchor.isoweekday()))
    is_last_of_month = (day + timedelta(days=1)).month != day.month
    months = (day.year - anchor.year) * 12 + day.month - anchor.month
    if months % (rule.every * (12 if rule.unit is YEAR else 1)):
        return False
    if rule.on_last_day:
        return is_last_of_month
    return day.day == anchor.day or (is_last_of_month and day.day < anchor.day)


def find_occurrences(anchor: datetime, rule: Recurrence, zone: ZoneInfo, first: date) -> Iterator[datetime]:
    """Yield the occurrences from the day `first` on, found by checking each day."""
    local = anchor.astimezone(zone)
    day = first
    while True:
        if belongs_to_series(day, local.date(), rule):
            yield anchor if day == local.date() else find_first_shown(day, local.time().replace(fold=0), zone)
        day += timedelta(days=1)


@given(
    anchor=times,
    zone=zones,
    rule=st.sampled_from(RULES),
    later=st.timedeltas(timedelta(0), timedelta(1600)),
)
@example(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN, DAILY, timedelta(days=153))
@example(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN, DAILY, timedelta(days=370))
def test_the_next_occurrence_is_on_the_next_matching_day(
    anchor: datetime, zone: ZoneInfo, rule: Recurrence, later: timedelta
) -> None:
    after = anchor + later
    occurrences = find_occurrences(anchor, rule, zone, after.astimezone(zone).date() - timedelta(days=1))
    assert find_next_occurrence(anchor, rule, zone, after) == next(at for at in occurrences if at > after)


@pytest.mark.parametrize("rule", [DAILY, WEEKLY, MONTHLY], ids=["daily", "weekly", "monthly"])
@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("first", [date(2028, 1, 29), date(2028, 1, 31), date(2026, 12, 30)])
@pytest.mark.parametrize("hour", [time(0), time(1, 45), time(2), time(2, 30), time(9), time(23, 45)])
def test_occurrences_over_a_year_match_a_day_by_day_search(
    hour: time, first: date, name: str, rule: Recurrence
) -> None:
    zone = ZoneInfo(name)
    anchor = find_first_shown(first, hour, zone)
    expected = list(islice(find_occurrences(anchor, rule, zone, first), COUNTS[rule]))
    found = [anchor]
    for _ in expected[1:]:
        following = find_next_occurrence(anchor, rule, zone, found[-1])
        assert following is not None
        found.append(following)
    assert found == expected
    for at, following in pairwise(expected):
        assert find_latest_occurrence(anchor, rule, zone, at) == at
        assert find_latest_occurrence(anchor, rule, zone, following - timedelta(seconds=1)) == at


@given(
    anchor=times,
    zone=zones,
    rule=st.sampled_from(RULES),
    later=st.timedeltas(timedelta(0), timedelta(1600)),
)
def test_the_next_occurrence_follows_the_latest_one(
    anchor: datetime, zone: ZoneInfo, rule: Recurrence, later: timedelta
) -> None:
    until = anchor + later
    latest = find_latest_occurrence(anchor, rule, zone, until)
    following = find_next_occurrence(anchor, rule, zone, until)
    first = find_occurrence(anchor, rule, zone, 0)
    assert latest <= until or latest == first
    assert following is not None
    if latest <= until:
        assert find_next_occurrence(anchor, rule, zone, latest) == following
    number = find_occurrence_number(anchor, rule, zone, following)
    assert number is not None
    assert find_occurrence(anchor, rule, zone, number) == following
    assert find_occurrence_number(anchor, rule, zone, following + timedelta(seconds=1)) is None


def test_a_monthly_series_on_the_31st_uses_the_last_day_of_shorter_months() -> None:
    anchor = datetime(2027, 1, 31, 9, 0, tzinfo=UTC)
    days = [find_occurrence(anchor, MONTHLY, ZoneInfo("UTC"), number).date() for number in range(15)]
    assert days[1:4] == [date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]
    assert days[13] == date(2028, 2, 29)


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_the_local_time_stays_the_same_across_a_clock_change(day: date) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    anchor = datetime(2026, 1, 1, 9, 0, tzinfo=berlin)
    for offset in (-1, 0, 1):
        number = (day - anchor.date()).days + offset
        found = find_occurrence(anchor, DAILY, berlin, number).astimezone(berlin)
        assert (found.hour, found.minute) == (9, 0)


def test_a_one_time_mailing_has_no_next_occurrence() -> None:
    anchor = datetime(2026, 1, 1, tzinfo=UTC)
    assert find_next_occurrence(anchor, None, ZoneInfo("UTC"), anchor) is None
    assert find_latest_occurrence(anchor, None, ZoneInfo("UTC"), anchor + timedelta(9)) == anchor


@pytest.mark.parametrize(
    ("rule", "start", "expected"),
    [
        (Recurrence(WEEK, 1, "13"), date(2026, 12, 1), ["2026-12-02", "2026-12-07", "2026-12-09"]),
        (Recurrence(WEEK, 2, "13"), date(2026, 12, 4), ["2026-12-14", "2026-12-16", "2026-12-28"]),
        (
            Recurrence(MONTH, 1, on_last_day=True),
            date(2028, 1, 10),
            ["2028-01-31", "2028-02-29", "2028-03-31"],
        ),
        (YEARLY, date(2028, 2, 29), ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        (Recurrence(DAY, 10), date(2026, 12, 25), ["2026-12-25", "2027-01-04"]),
    ],
)
def test_the_first_occurrences_are_on_the_first_matching_days(
    rule: Recurrence, start: date, expected: list[str]
) -> None:
    anchor = datetime.combine(start, time(9), UTC)
    found = [find_occurrence(anchor, rule, ZoneInfo("UTC"), number) for number in range(len(expected))]
    assert [at.date().isoformat() for at in found] == expected
    assert {at.time() for at in found} == {time(9)}
