"""Test when letters at local time are due, by comparison with clocks that are read minute by minute."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skymailing.delivery.calendar.local_times import (
    LocalStart,
    find_clock,
    find_due_times,
    find_earliest_possible,
    find_zone,
)
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.models import EVERY_DAY, Mailing, OnPassed, Periodicity, User

pytestmark = pytest.mark.one_engine

MOSCOW, TOKYO, NEW_YORK = ZoneInfo("Europe/Moscow"), ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")
ZONES = [
    *("Europe/Berlin", "Europe/Moscow", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns", "UTC", "Africa/Casablanca"),
    *("Asia/Vladivostok", "Pacific/Chatham", "America/Santiago"),
]
zones = st.sampled_from(ZONES).map(ZoneInfo)
# Quarters of an hour on days with a clock change in one of the zones, on leap days, and on others.
days = st.sampled_from(
    [
        *(date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1), date(2026, 3, 8), date(2026, 4, 5)),
        *(date(2026, 9, 6), date(2028, 2, 29), date(2026, 9, 27), date(2026, 12, 31), date(2026, 7, 15)),
    ]
)
clock_times = st.integers(0, 24 * 4 - 1).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))
MINUTE = timedelta(minutes=1)


def make_start(
    at: datetime,
    zone: ZoneInfo = MOSCOW,
    on_passed: OnPassed = OnPassed.SEND,
    days: int = 10,
    hours: tuple[str, time | None, time | None] = (EVERY_DAY, None, None),
    periodicity: Periodicity = Periodicity.ONCE,
) -> LocalStart:
    mailing = Mailing(
        owner=User(timezone=zone.key),
        starts_at=at,
        ends_at=at + timedelta(days=days),
        periodicity=periodicity,
        on_passed=on_passed,
        weekdays=hours[0],
        opens_at=hours[1],
        closes_at=hours[2],
    )
    return LocalStart.of(mailing, at)


def read_clock(clock: datetime, zone: ZoneInfo) -> datetime:
    """Return the first minute at which a clock shows `clock`, starting the day before.

    If the clock skips this time, return when it would have been.
    """
    now = clock.replace(tzinfo=UTC) - timedelta(hours=15)
    while (shown := now.astimezone(zone).replace(tzinfo=None)) < clock:
        last, now = now, now + MINUTE
    return now if shown == clock else last + (clock - last.astimezone(zone).replace(tzinfo=None))


@settings(max_examples=150)
@given(days, clock_times, zones, zones)
@example(date(2026, 3, 29), time(2, 30), MOSCOW, ZoneInfo("Europe/Berlin"))  # skipped
@example(date(2026, 10, 25), time(2, 30), MOSCOW, ZoneInfo("Europe/Berlin"))  # shown twice
@example(date(2026, 9, 6), time(0, 15), MOSCOW, ZoneInfo("America/Santiago"))  # skips midnight
def test_each_zone_is_due_when_its_clock_shows_the_time(
    day: date, clock: time, owner: ZoneInfo, zone: ZoneInfo
) -> None:
    shown = datetime.combine(day, clock)
    at = shown.replace(tzinfo=owner).astimezone(UTC)
    if at.astimezone(owner).replace(tzinfo=None) != shown:
        return  # pages do not accept a start that the owner's clock skips
    start = make_start(at, owner)
    due = start.find_time(zone)
    assert due == read_clock(shown, zone)
    assert find_earliest_possible(start) <= start.find_earliest([zone]) == min(due, at)
    if due.astimezone(zone).utcoffset() == at.astimezone(owner).utcoffset() and due.day == at.day:
        assert due == at, "zones with the same offset are due together"


def test_the_owners_zone_is_due_at_the_start_even_in_a_repeated_hour() -> None:
    berlin, at = ZoneInfo("Europe/Berlin"), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    start = make_start(at, berlin)
    assert find_due_times(start, ["Europe/Berlin", "Europe/Paris"], at - timedelta(days=1)) == {
        "": at,
        "Europe/Berlin": at,
        "Europe/Paris": at - timedelta(hours=1),  # 02:30 for the first time
    }


def test_an_occurrence_that_the_owners_clock_skips_keeps_its_time_elsewhere() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    mailing = Mailing(
        owner=User(timezone="Europe/Berlin"),
        starts_at=datetime(2026, 3, 28, 1, 30, tzinfo=UTC),  # 02:30
        periodicity=Periodicity.DAILY,
    )
    skipped = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 03:30 in Berlin
    assert find_clock(mailing, skipped, berlin) == datetime(2026, 3, 29, 2, 30)
    by_hand = skipped + timedelta(minutes=7)
    assert find_clock(mailing, by_hand, berlin) == datetime(2026, 3, 29, 3, 37)


@settings(max_examples=100)
@given(days, clock_times, zones, st.integers(-30, 30), st.sampled_from([1, 10]))
def test_a_zone_whose_hour_has_passed_waits_for_the_next_day_only_if_that_fits(
    day: date, clock: time, zone: ZoneInfo, hours: int, length: int
) -> None:
    at = datetime.combine(day, clock, MOSCOW).astimezone(UTC)
    now = at + timedelta(hours=hours)
    at_once, next_day = (make_start(at, on_passed=choice, days=length) for choice in OnPassed)
    assert at_once.find_due(zone, now) == at_once.find_time(zone)
    due = next_day.find_due(zone, now)
    if at_once.find_time(zone) >= now - timedelta(minutes=15):
        assert due == at_once.find_time(zone)
        return
    later = at_once.clock
    while (moment := read_clock(later, zone)) <= now:
        later += timedelta(days=1)
    assert due == (moment if moment < at + timedelta(days=length) else at_once.find_time(zone))


def test_a_daily_mailing_does_not_send_two_letters_at_the_same_time() -> None:
    at = datetime(2026, 11, 20, 7, tzinfo=UTC)
    start = make_start(at, on_passed=OnPassed.NEXT_DAY, periodicity=Periodicity.DAILY)
    assert start.find_due(TOKYO, at) == datetime(2026, 11, 20, 1, tzinfo=UTC)
    weekly = make_start(at, on_passed=OnPassed.NEXT_DAY, periodicity=Periodicity.WEEKLY)
    assert weekly.find_due(TOKYO, at) == datetime(2026, 11, 21, 1, tzinfo=UTC)


def test_sending_hours_apply_in_the_clients_zone() -> None:
    at = datetime(2026, 11, 20, 17, tzinfo=UTC)  # a Friday, 20:00
    start = make_start(at, hours=("12345", time(9), time(18)))
    before = at - timedelta(days=1)
    for zone in (TOKYO, MOSCOW, NEW_YORK):
        opening = datetime(2026, 11, 23, 9, tzinfo=zone)
        assert start.find_due(zone, before) == opening, "on Monday at nine"
    open_now = datetime(2026, 11, 23, 1, tzinfo=UTC)  # 10:00 in Tokyo
    assert start.find_due(TOKYO, open_now) <= open_now


def test_an_unknown_zone_is_replaced_with_the_owners() -> None:
    assert find_zone("", MOSCOW) is MOSCOW
    assert find_zone("Mars/Olympus", MOSCOW) is MOSCOW
    assert find_zone("../etc/passwd", MOSCOW) is MOSCOW
    hours = SendingHours(EVERY_DAY, None, None, MOSCOW)
    assert not hours.is_limited
