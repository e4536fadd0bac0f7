"""Test labels, times, numbers and links in templates."""

from datetime import UTC, datetime
from enum import StrEnum

import pytest
from flask import Flask
from flask_babel import force_locale, format_datetime

from skymailing import models
from skymailing.web.formats import local_time, number
from skymailing.web.labels import state_label, state_tone
from skymailing.web.responses import address, breakable, icon, url_with

# Texts are formatted in Python.
pytestmark = pytest.mark.one_engine

SUMMER = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
CHOICES: list[StrEnum] = [
    *models.MailingState,
    *models.RunState,
    *models.DeliveryState,
    *models.Outcome,
    *models.ImportState,
    *models.SuppressionReason,
    *models.BounceKind,
    *models.Periodicity,
    *models.Audience,
    *models.OnUnknown,
    *models.MessageFormat,
    *models.Role,
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: f"{type(choice).__name__}.{choice}")
def test_every_state_has_a_label_and_a_tone(app: Flask, choice: StrEnum) -> None:
    with app.test_request_context():
        assert str(state_label(choice))
        assert state_tone(choice)


def test_a_constant_number_in_a_template_follows_the_readers_language(app: Flask) -> None:
    template = app.jinja_env.from_string("{{ 1240|number }}")
    for language, text in (("en", "1,240"), ("ru", "1\N{NO-BREAK SPACE}240"), ("en", "1,240")):
        with app.test_request_context(), force_locale(language):
            assert template.render() == text


def test_times_are_shown_in_the_readers_zone_with_its_offset(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "DEFAULT_TIMEZONE", "Asia/Kolkata")
    with app.test_request_context():
        html = local_time(SUMMER)

    assert "1 Jul 2026, 15:00" in html
    assert "UTC+5:30" in html
    assert 'datetime="2026-07-01T09:30:00+00:00"' in html


def test_a_missing_time_is_a_dash(app: Flask) -> None:
    with app.test_request_context():
        assert "–" in local_time(None)


def test_numbers_follow_the_language(app: Flask) -> None:
    with app.test_request_context():
        with force_locale("en"):
            assert number(12345) == "12,345"
        with force_locale("ru"):
            assert number(12345) == "12\xa0345"


def test_idn_addresses_are_shown_in_their_own_script() -> None:
    assert address("info@xn--e1afmkfd.xn--p1ai") == "info@пример.рф"


def test_url_with_changes_one_argument_and_keeps_the_others(app: Flask) -> None:
    with app.test_request_context("/clients/?q=Ольга&sort=name&cursor=abc"):
        assert url_with(sort="-name", cursor=None) == "/clients/?q=%D0%9E%D0%BB%D1%8C%D0%B3%D0%B0&sort=-name"
        assert url_with(q=None, sort=None, cursor=None) == "/clients/"


def test_an_icon_is_hidden_from_screen_readers(app: Flask) -> None:
    with app.test_request_context():
        assert 'aria-hidden="true"' in icon("trash")


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("month", range(1, 13))
def test_times_are_formatted_as_by_babel(app: Flask, language: str, month: int) -> None:
    moment = SUMMER.replace(month=month, second=5)
    with app.test_request_context(), force_locale(language):
        expected = format_datetime(moment, "EEE, d MMM y, HH:mm:ss")
        assert f">{expected}</time>" in local_time(moment, zone=False, seconds=True, weekday=True)


def test_a_translated_text_in_a_template_escapes_only_its_values(app: Flask) -> None:
    template = app.jinja_env.from_string("{{ _('<b>%(name)s</b>', name=name) }} {{ _('100 %%<br>') }}")
    with app.test_request_context():
        assert template.render(name="<Anna>") == "<b>&lt;Anna&gt;</b> 100 %<br>"


def test_a_text_in_a_template_follows_the_readers_language(app: Flask) -> None:
    template = app.jinja_env.from_string("{{ _('Clients') }}")
    for language, text in (("en", "Clients"), ("ru", "Клиенты"), ("en", "Clients")):
        with app.test_request_context(), force_locale(language):
            assert template.render() == text


def test_long_words_break_at_punctuation() -> None:
    assert breakable("<b>@example.org") == "&lt;b&gt;@example.org", "short enough"
    long = "mikhail.kuznetsov_1@sub.example.org"
    expected = "mikhail<wbr>.kuznetsov_<wbr>1@<wbr>sub<wbr>.example<wbr>.org"
    assert breakable(long) == expected
    assert breakable("https://shop.example/<i>?page=1&sort=name") == (
        "https://<wbr>shop<wbr>.example/&lt;i&gt;<wbr>?page<wbr>=1<wbr>&amp;sort<wbr>=name"
    )
