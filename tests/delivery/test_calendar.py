"""Occurrences in the owner's time zone, against a reference that steps day by day."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymailing.delivery.calendar import latest_occurrence, next_occurrence, occurrence
from skymailing.models import Periodicity

ZONES = ["UTC", "Europe/Moscow", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
RECURRING = [Periodicity.DAILY, Periodicity.WEEKLY, Periodicity.MONTHLY]

moments = st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31)).map(
    lambda moment: moment.replace(tzinfo=UTC, microsecond=0)
)
zones = st.sampled_from(ZONES).map(ZoneInfo)


def falls_on(day: date, anchor: date, periodicity: Periodicity) -> bool:
    """Whether a day is one of the series, told without any arithmetic on occurrences."""
    if day < anchor:
        return False
    if periodicity is Periodicity.DAILY:
        return True
    if periodicity is Periodicity.WEEKLY:
        return day.weekday() == anchor.weekday()
    is_last_of_month = (day + timedelta(days=1)).month != day.month
    return day.day == anchor.day or (is_last_of_month and day.day < anchor.day)


@given(
    anchor=moments,
    zone=zones,
    periodicity=st.sampled_from(RECURRING),
    later=st.timedeltas(timedelta(0), timedelta(800)),
)
def test_the_next_occurrence_is_the_next_fitting_day(
    anchor: datetime, zone: ZoneInfo, periodicity: Periodicity, later: timedelta
) -> None:
    after = anchor + later
    found = next_occurrence(anchor, periodicity, zone, after)
    assert found is not None
    assert found > after

    local = anchor.astimezone(zone)
    day = after.astimezone(zone).date() - timedelta(days=1)
    while True:
        expected = datetime.combine(day, local.time(), zone).astimezone(UTC)
        if falls_on(day, local.date(), periodicity) and expected > after:
            break
        day += timedelta(days=1)
    assert found == expected


@given(
    anchor=moments,
    zone=zones,
    periodicity=st.sampled_from(RECURRING),
    later=st.timedeltas(timedelta(0), timedelta(800)),
)
def test_latest_and_next_are_neighbours(
    anchor: datetime, zone: ZoneInfo, periodicity: Periodicity, later: timedelta
) -> None:
    until = anchor + later
    latest = latest_occurrence(anchor, periodicity, zone, until)
    following = next_occurrence(anchor, periodicity, zone, until)
    assert latest <= until or latest == anchor
    assert following is not None
    assert next_occurrence(anchor, periodicity, zone, latest) == following


def test_the_last_of_january_goes_by_way_of_february_back_to_the_31st() -> None:
    anchor = datetime(2027, 1, 31, 9, 0, tzinfo=UTC)
    days = [occurrence(anchor, Periodicity.MONTHLY, ZoneInfo("UTC"), number).date() for number in range(15)]
    assert days[1:4] == [date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]
    assert days[13] == date(2028, 2, 29)


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_nine_in_the_morning_stays_nine_across_a_clock_change(day: date) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    anchor = datetime(2026, 1, 1, 9, 0, tzinfo=berlin)
    for offset in (-1, 0, 1):
        number = (day - anchor.date()).days + offset
        found = occurrence(anchor, Periodicity.DAILY, berlin, number).astimezone(berlin)
        assert (found.hour, found.minute) == (9, 0)


def test_a_mailing_that_happens_once_has_no_next_occurrence() -> None:
    anchor = datetime(2026, 1, 1, tzinfo=UTC)
    assert next_occurrence(anchor, Periodicity.ONCE, ZoneInfo("UTC"), anchor) is None
    assert latest_occurrence(anchor, Periodicity.ONCE, ZoneInfo("UTC"), anchor + timedelta(9)) == anchor
