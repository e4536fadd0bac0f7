"""Test sending days and hours on the form and on a mailing's page."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import DeliveryState, Mailing, MailingState, OnLate, RunState, User
from tests.conftest import SignIn
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, create_run

# Forms are validated in Python.
pytestmark = pytest.mark.one_engine

SATURDAY = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def browser(user: User, sign_in: SignIn) -> FlaskClient:
    return sign_in(user)


def submit(browser: FlaskClient, user: User, **values: Any) -> Any:
    ClientFactory.create(owner=user)
    message = MessageFactory.create(owner=user)
    period = {"starts_at": "2099-01-05T09:00", "ends_at": "2099-02-05T09:00"}
    data = {"name": "Новости", "message": message.id, "audience": "all", "periodicity": "once"} | period
    return browser.post("/mailings/new", data=data | values, follow_redirects=True)


def get_only_mailing(session: Session) -> Mailing:
    return session.scalars(select(Mailing)).one()


@pytest.mark.both_engines
def test_days_and_hours_are_saved_and_shown(browser: FlaskClient, user: User, session: Session) -> None:
    page = submit(
        browser, user, weekdays=["1", "2", "5"], opens_at="09:00", closes_at="18:30", on_late="skip"
    )
    mailing = get_only_mailing(session)
    assert (mailing.weekdays, mailing.opens_at, mailing.closes_at) == ("125", time(9), time(18, 30))
    assert mailing.on_late is OnLate.SKIP
    assert "Mon, Tue, Fri, 09:00–18:30" in get_main_text(page)
    form = soup(browser.get(f"/mailings/{mailing.id}/edit"))
    assert [box["value"] for box in form.select("[name=weekdays][checked]")] == ["1", "2", "5"]
    (opens_at,) = form.select("[name=opens_at]")
    assert opens_at["value"] == "09:00"


@pytest.mark.parametrize(
    ("checked", "expected"), [(list("31") * 9, "13"), (list("7654321"), "1234567"), (["7"] * 7, "7")]
)
def test_days_are_saved_in_order_without_duplicates(
    browser: FlaskClient, user: User, session: Session, checked: list[str], expected: str
) -> None:
    submit(browser, user, weekdays=checked)
    assert get_only_mailing(session).weekdays == expected


def test_a_mailing_without_days_and_hours_has_no_limits(
    browser: FlaskClient, user: User, session: Session
) -> None:
    submit(browser, user)
    mailing = get_only_mailing(session)
    assert (mailing.weekdays, mailing.opens_at, mailing.closes_at) == ("1234567", None, None)
    assert mailing.on_late is OnLate.SEND


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"opens_at": "09:00", "closes_at": ""}, "Fill in both times, or leave both empty."),
        ({"opens_at": "", "closes_at": "18:00"}, "Fill in both times, or leave both empty."),
        ({"opens_at": "09:00", "closes_at": "09:00"}, "The end time must differ from the start time."),
        ({"opens_at": "nine", "closes_at": "18:00"}, "Not a valid time value."),
        ({"weekdays": ["8"]}, "not a valid choice"),
        ({"on_late": "perhaps"}, "Not a valid choice."),
    ],
)
def test_invalid_hours_are_rejected(
    browser: FlaskClient, user: User, session: Session, values: dict[str, Any], error: str
) -> None:
    assert error in submit(browser, user, **values).text
    assert session.scalars(select(Mailing)).all() == []


def test_a_run_outside_its_hours_shows_when_it_will_continue(user: User, sign_in: SignIn) -> None:
    hours = {"weekdays": "12345", "opens_at": time(9), "closes_at": time(18)}
    period = {"starts_at": SATURDAY, "ends_at": SATURDAY + timedelta(days=5)}
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING, **hours, **period)
    create_run(mailing, {DeliveryState.PENDING: 3}, state=RunState.SENDING)
    with time_machine.travel(SATURDAY):
        page = get_main_text(sign_in(user).get(f"/mailings/{mailing.id}"))
    assert "Sending continues automatically at 23 Nov, 09:00" in page
