"""Test sending hours by comparison with a clock that is read minute by minute."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymailing.delivery.calendar.sending_hours import SendingHours

ZONES = ["Europe/Moscow", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
MINUTE = timedelta(minutes=1)
# Weeks with a clock change in one of the zones, and one week without any.
WEEKS = [
    date(2024, 3, 7),
    date(2024, 3, 28),
    date(2024, 4, 4),
    date(2024, 6, 3),
    date(2024, 10, 3),
    date(2024, 10, 24),
]

clock_times = st.integers(0, 24 * 4 - 1).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))
weekdays = st.sets(st.sampled_from("1234567"), min_size=1).map(lambda days: "".join(sorted(days)))


def observe_hours(hours: SendingHours, day: date) -> list[bool]:
    """Read the local clock for a week from `day`; return for each minute whether letters may be sent.

    An opening begins when, on one of the weekdays, the clock first shows the opening time or later, and
    ends in the same way at the closing time. This follows the definition, without the code under test.
    """
    assert hours.opens_at is not None
    assert hours.closes_at is not None
    overnight = hours.closes_at <= hours.opens_at
    now = datetime.combine(day - timedelta(days=2), time(), UTC)
    first = datetime.combine(day, time(), UTC)
    opened: set[date] = set()
    closed: set[date] = set()
    is_open_at = []
    end = first + timedelta(days=7)
    while now < end:
        local = now.astimezone(hours.zone)
        today, clock = local.date(), local.time()
        for opening_day in (today - timedelta(days=1), today):
            closing_day = opening_day + timedelta(days=1) if overnight else opening_day
            if (today, clock) >= (opening_day, hours.opens_at) and str(
                opening_day.isoweekday()
            ) in hours.weekdays:
                opened.add(opening_day)
            if (today, clock) >= (closing_day, hours.closes_at):
                closed.add(opening_day)
        if now >= first:
            is_open_at.append(bool(opened - closed))
        now += MINUTE
    return is_open_at


# Reading a week of clock times is slow on a busy machine.
@settings(max_examples=60)
@given(weekdays, clock_times, clock_times, st.sampled_from(ZONES), st.sampled_from(WEEKS))
def test_hours_agree_with_a_clock_read_minute_by_minute(
    days: str, opens: time, closes: time, zone: str, day: date
) -> None:
    hours = SendingHours(days, opens, closes, ZoneInfo(zone))
    is_open_at = observe_hours(hours, day)
    first = datetime.combine(day, time(), UTC)
    for number in range(0, len(is_open_at), 15):
        now = first + number * MINUTE
        assert hours.is_open(now) == is_open_at[number], now.astimezone(hours.zone)
    assert hours.measure_open_time(first, first + timedelta(days=7)) == sum(is_open_at) * MINUTE
    openings = [number for number, is_open in enumerate(is_open_at) if is_open]
    if openings and not is_open_at[0]:
        assert hours.find_next_opening(first) == first + openings[0] * MINUTE
    if len(openings) > 500:
        assert hours.add_open_time(first, 500 * MINUTE) == first + (openings[499] + 1) * MINUTE


def test_office_hours_end_on_friday_and_resume_on_monday() -> None:
    hours = SendingHours("12345", time(9), time(18), ZoneInfo("Europe/Moscow"))
    friday_evening = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    assert hours.is_open(friday_evening - MINUTE)
    assert hours.find_closing_time(friday_evening - MINUTE) == friday_evening
    assert not hours.is_open(friday_evening)
    assert hours.find_closing_time(friday_evening) is None
    assert hours.find_next_opening(friday_evening) == datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
    assert hours.add_open_time(friday_evening - MINUTE, 2 * MINUTE) == datetime(
        2026, 11, 23, 6, 1, tzinfo=UTC
    )


def test_without_hours_sending_is_always_allowed() -> None:
    hours = SendingHours("1234567", None, None, ZoneInfo("UTC"))
    now = datetime(2026, 11, 20, tzinfo=UTC)
    assert hours.is_open(now)
    assert not hours.is_limited
    assert (hours.find_closing_time(now), hours.find_next_opening(now)) == (None, now)
    assert hours.measure_open_time(now, now + timedelta(days=1000)) == timedelta(days=1000)


@pytest.mark.parametrize(("opens", "expected"), [(time(2, 30), time(3, 0)), (time(1, 0), time(1, 0))])
def test_an_opening_time_that_the_clock_skips_opens_at_the_change(opens: time, expected: time) -> None:
    hours = SendingHours("7", opens, time(5), ZoneInfo("Europe/Berlin"))
    opening = hours.find_next_opening(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert opening is not None
    assert opening.astimezone(hours.zone).time() == expected
