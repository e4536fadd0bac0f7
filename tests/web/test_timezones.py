"""Test parsing and formatting local times."""

from datetime import UTC, date, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask_babel import force_locale
from wtforms.fields import SelectChoice

from skymailing.errors import UserError
from skymailing.web.timezone_choices import list_timezone_choices, name_timezone
from skymailing.web.timezones import end_of_day, format_local, parse_local, start_of_day

# Times are converted in Python.
pytestmark = pytest.mark.one_engine

BERLIN = ZoneInfo("Europe/Berlin")
NEPAL = ZoneInfo("Asia/Kathmandu")


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-12-31T09:00", BERLIN, datetime(2026, 12, 31, 8, 0, tzinfo=UTC)),
        ("2026-12-31T09:00:30", BERLIN, datetime(2026, 12, 31, 8, 0, 30, tzinfo=UTC)),
        (" 2026-07-01 09:00 ", BERLIN, datetime(2026, 7, 1, 7, 0, tzinfo=UTC)),
        ("2026-01-01T00:00", NEPAL, datetime(2025, 12, 31, 18, 15, tzinfo=UTC)),
    ],
)
def test_a_time_is_parsed_in_its_zone(text: str, zone: ZoneInfo, expected: datetime) -> None:
    assert parse_local(text, zone) == expected


def test_a_repeated_time_means_its_first_occurrence() -> None:
    assert parse_local("2026-10-25T02:30", BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-03-29T02:00", "2026-03-29T02:59:59"])
def test_a_skipped_time_is_rejected(text: str) -> None:
    with pytest.raises(UserError, match=r"^time_skipped$"):
        parse_local(text, BERLIN)


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_a_year_out_of_range_is_rejected(text: str) -> None:
    with pytest.raises(UserError, match=r"^time_year_out_of_range$"):
        parse_local(text, BERLIN)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-02-30T10:00", "2026-12-31"])
def test_text_without_a_time_is_rejected(text: str) -> None:
    with pytest.raises(UserError, match=r"^time_unreadable$"):
        parse_local(text, BERLIN)


@pytest.mark.parametrize("text", ["2026-12-31T09:00", "2026-12-31T09:00:30"])
def test_formatting_is_the_inverse_of_parsing(text: str) -> None:
    assert format_local(parse_local(text, BERLIN), BERLIN) == text


def test_a_day_with_a_clock_change_has_23_hours() -> None:
    day = date(2026, 3, 29)
    assert (end_of_day(day, BERLIN) - start_of_day(day, BERLIN)).total_seconds() == 23 * 3600


NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def list_choices(app: Flask, language: str, current: str = "UTC") -> dict[str, SelectChoice]:
    with app.test_request_context(), force_locale(language):
        return {choice.value: choice for choice in list_timezone_choices(NOW, current)}


@pytest.mark.parametrize(
    ("language", "zone", "label", "region", "country"),
    [
        ("en", "Europe/Moscow", "Moscow (UTC+3)", "Europe", "Russia"),
        ("ru", "Europe/Moscow", "Москва (UTC+3)", "Европа", "Россия"),
        ("ru", "Asia/Yekaterinburg", "Екатеринбург (UTC+5)", "Азия", "Россия"),
        ("en", "Asia/Kolkata", "Kolkata (UTC+5:30)", "Asia", "India"),
        ("en", "America/New_York", "New York (UTC−5)", "Americas", "United States"),
        ("ru", "Pacific/Auckland", "Окленд (UTC+13)", "Тихий океан", "Новая Зеландия"),
    ],
)
def test_a_zone_has_a_city_an_offset_a_region_and_a_country(
    app: Flask, language: str, zone: str, label: str, region: str, country: str
) -> None:
    choice = list_choices(app, language)[zone]
    assert (choice.label, choice.optgroup) == (label, region)
    assert country in choice.render_kw["data-keywords"]


def test_each_region_is_listed_once_in_the_order_of_its_cities(app: Flask) -> None:
    choices = list(list_choices(app, "ru").values())
    regions = [region for region, _ in groupby(choices, key=lambda choice: choice.optgroup)]
    assert len(regions) == len(set(regions))
    europe = [choice.label for choice in choices if choice.optgroup == "Европа"]
    assert europe == sorted(europe)


def test_an_older_name_of_a_zone_remains_selectable(app: Flask) -> None:
    assert "Asia/Calcutta" not in list_choices(app, "en")
    assert list_choices(app, "en", "Asia/Calcutta")["Asia/Calcutta"].label == "Kolkata (UTC+5:30)"
    assert list(list_choices(app, "en", "Mars/Olympus")) == list(list_choices(app, "en"))


@pytest.mark.parametrize(
    ("zone", "label"),
    [("Etc/GMT-3", "Etc/GMT-3 (UTC+3)"), ("US/Eastern", "US/Eastern (UTC−5)"), ("EST", "EST (UTC−5)")],
)
def test_a_zone_without_a_place_remains_selectable(app: Flask, zone: str, label: str) -> None:
    assert zone not in list_choices(app, "en")
    assert list_choices(app, "en", zone)[zone].label == label


def test_a_zone_is_named_with_its_current_offset(app: Flask) -> None:
    with app.test_request_context(), force_locale("ru"):
        assert name_timezone("Europe/Berlin", NOW) == "Берлин (UTC+1)"
        assert name_timezone("UTC", NOW) == "UTC"
