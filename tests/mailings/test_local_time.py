"""Test the form, the summary and the page of mailings at local time."""

from datetime import UTC, datetime, time, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Mailing, MailingState, User
from tests.mailings.pages import format_local, get_field_error, mailing_fields, soup
from tests.support.factories import ClientFactory, MessageFactory

# Ten o'clock in Moscow, on the day before the mailing; none of the zones sets its clocks forward.
NOW = datetime.combine(utcnow().date() + timedelta(days=1), time(7), UTC)
START = NOW + timedelta(days=1)


@pytest.fixture
def fields(user: User) -> dict[str, str]:
    """Return the values of the form for a mailing at local time to clients in three zones."""
    user.timezone = "Europe/Moscow"
    for name, zone in (("tokyo", "Asia/Tokyo"), ("moscow", ""), ("bogota", "America/Bogota")):
        ClientFactory.create(owner=user, email=f"{name}@x.com", timezone=zone)
    moscow = timedelta(hours=3)
    times = {
        "starts_at": format_local(START + moscow),
        "ends_at": format_local(START + timedelta(days=3) + moscow),
    }
    return {**mailing_fields(MessageFactory.create(owner=user)), "is_local_time": "y"} | times


def read_zones(browser: FlaskClient, fields: dict[str, str]) -> str:
    page = browser.post("/mailings/new", data=fields | {"check": "1"})
    (found,) = soup(page).select("#zones")
    return " ".join(found.get_text(" ").split())


def test_the_summary_says_from_when_until_when_emails_are_sent(
    browser: FlaskClient, fields: dict[str, str]
) -> None:
    with time_machine.travel(NOW, tick=False):
        text = read_zones(browser, fields)
    assert "4:00" in text, "ten o'clock in Tokyo"
    assert "18:00" in text, "ten o'clock in Bogota"
    assert "1 client has no time zone" in text
    assert "passed" not in text


def test_the_summary_says_whose_time_has_passed_or_comes_too_late(
    browser: FlaskClient, fields: dict[str, str]
) -> None:
    ends_at = format_local(START + timedelta(hours=3 + 5))
    with time_machine.travel(START - timedelta(minutes=5), tick=False):
        text = read_zones(browser, fields | {"ends_at": ends_at})
        assert "passed for 1 client, who gets the email at once" in text
        assert "For 1 client, the time comes after the end" in text
        text = read_zones(browser, fields | {"on_passed": "next_day"})
        assert "the next day" in text


def test_a_mailing_is_saved_shown_and_edited(
    browser: FlaskClient, fields: dict[str, str], session: Session
) -> None:
    with time_machine.travel(NOW, tick=False):
        browser.post("/mailings/new", data=fields | {"on_passed": "next_day"})
        mailing = session.scalars(select(Mailing)).one()
        assert (mailing.is_local_time, mailing.on_passed, mailing.next_run_at) == (True, "next_day", START)
        assert mailing.state is MailingState.SCHEDULED
        page = browser.get(f"/mailings/{mailing.id}").text
        assert "s time zone<br>" in page
        assert "send the next day at this time" in page
        edit = f"/mailings/{mailing.id}/edit"
        assert soup(browser.get(edit)).select("#is_local_time[checked]")
        browser.post(edit, data={name: value for name, value in fields.items() if name != "is_local_time"})
        session.refresh(mailing)
        assert (mailing.is_local_time, mailing.on_passed) == (False, "send")


def test_an_ab_test_at_local_time_is_refused(browser: FlaskClient, fields: dict[str, str]) -> None:
    test = {"variants": "2", "subject_b": "Another subject", "winner_by": "owner"}
    with time_machine.travel(NOW, tick=False):
        page = browser.post("/mailings/new", data=fields | test)
    assert "A/B test is not possible" in get_field_error(page, "is_local_time")
