"""Times as people type them."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from skymailing.web.timezones import (
    SkippedTime,
    UnreadableTime,
    YearOutOfRange,
    day_ends,
    day_starts,
    format_local,
    parse_local,
)

BERLIN = ZoneInfo("Europe/Berlin")
NEPAL = ZoneInfo("Asia/Kathmandu")


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-12-31T09:00", BERLIN, datetime(2026, 12, 31, 8, 0, tzinfo=UTC)),
        ("2026-12-31T09:00:30", BERLIN, datetime(2026, 12, 31, 8, 0, 30, tzinfo=UTC)),
        (" 2026-07-01 09:00 ", BERLIN, datetime(2026, 7, 1, 7, 0, tzinfo=UTC)),
        ("2026-01-01T00:00", NEPAL, datetime(2025, 12, 31, 18, 15, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_on_the_clock_of_its_zone(text: str, zone: ZoneInfo, moment: datetime) -> None:
    assert parse_local(text, zone) == moment


def test_a_time_that_comes_twice_is_the_first() -> None:
    assert parse_local("2026-10-25T02:30", BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-03-29T02:00", "2026-03-29T02:59:59"])
def test_a_time_that_a_clock_change_leaves_out_is_refused(text: str) -> None:
    with pytest.raises(SkippedTime):
        parse_local(text, BERLIN)


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_a_year_that_nobody_can_do_sums_with_is_named_as_such(text: str) -> None:
    with pytest.raises(YearOutOfRange):
        parse_local(text, BERLIN)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-02-30T10:00", "2026-12-31"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UnreadableTime):
        parse_local(text, BERLIN)


@pytest.mark.parametrize("text", ["2026-12-31T09:00", "2026-12-31T09:00:30"])
def test_a_time_is_shown_as_it_was_typed(text: str) -> None:
    assert format_local(parse_local(text, BERLIN), BERLIN) == text


def test_a_day_is_as_long_as_its_clock_changes_make_it() -> None:
    day = date(2026, 3, 29)
    assert (day_ends(day, BERLIN) - day_starts(day, BERLIN)).total_seconds() == 23 * 3600
