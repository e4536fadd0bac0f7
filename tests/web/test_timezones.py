"""Test parsing and formatting local times."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from skymailing.errors import UserError
from skymailing.web.timezones import end_of_day, format_local, parse_local, start_of_day

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
def test_a_time_is_parsed_in_its_zone(text: str, zone: ZoneInfo, moment: datetime) -> None:
    assert parse_local(text, zone) == moment


def test_a_repeated_time_means_its_first_occurrence() -> None:
    assert parse_local("2026-10-25T02:30", BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-03-29T02:00", "2026-03-29T02:59:59"])
def test_a_skipped_time_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^time_skipped$"):
        parse_local(text, BERLIN)


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_a_year_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^time_year_out_of_range$"):
        parse_local(text, BERLIN)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-02-30T10:00", "2026-12-31"])
def test_text_without_a_time_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^time_unreadable$"):
        parse_local(text, BERLIN)


@pytest.mark.parametrize("text", ["2026-12-31T09:00", "2026-12-31T09:00:30"])
def test_formatting_is_the_inverse_of_parsing(text: str) -> None:
    assert format_local(parse_local(text, BERLIN), BERLIN) == text


def test_a_day_with_a_clock_change_has_23_hours() -> None:
    day = date(2026, 3, 29)
    assert (end_of_day(day, BERLIN) - start_of_day(day, BERLIN)).total_seconds() == 23 * 3600
