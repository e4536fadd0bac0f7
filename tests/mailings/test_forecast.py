"""Test the forecast on the form: live, after pressing a button, and compared with the effect of saving."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from bs4 import Tag
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.mailings import forecast
from skymailing.models import (
    DeliveryState,
    Mailing,
    MailingState,
    Periodicity,
    RunState,
    User,
)
from tests.conftest import SignIn
from tests.mailings.forecasting import NOW, add_measured_run, get_text, list_starts, preview
from tests.mailings.pages import format_local, get_main_text, mailing_fields, soup, utc_time
from tests.support.factories import (
    ClientFactory,
    MailingFactory,
    MessageFactory,
    SuppressionFactory,
    UserFactory,
    create_clients,
    create_run,
)

# Starts are computed in Python.
pytestmark = pytest.mark.one_engine


@pytest.fixture
def user(session: Session) -> User:
    user: User = UserFactory.create(timezone="Europe/Berlin")
    return user


@pytest.fixture
def browser(user: User, sign_in: SignIn) -> FlaskClient:
    with time_machine.travel(NOW):
        return sign_in(user)


@pytest.mark.both_engines
def test_the_forecast_lists_five_local_starts_with_their_client_counts(
    browser: FlaskClient, user: User, session: Session
) -> None:
    clients = create_clients(user, 4)
    create_clients(UserFactory.create(), 3)
    SuppressionFactory.create(owner_id=user.id, email_key=clients[0].email_key)
    response = preview(browser, user)
    # The clocks go back on the 25th, so 9:00 local time is an hour later in UTC from then on.
    hours = {23: 7, 24: 7, 25: 8, 26: 8, 27: 8}
    assert list_starts(response) == [datetime(2026, 10, day, hour, tzinfo=UTC) for day, hour in hours.items()]
    assert [
        item.get_text(" ").split("3 client")[0].count("09:00") for item in soup(response).select("li")
    ] == [1] * 5
    assert all("3 clients" in item.get_text(" ") for item in soup(response).select("#forecast-list li"))
    assert "And so on until the end date." in get_text(response)
    assert "Not counted: 1 unsubscribed or excluded client." in get_text(response)
    (reach,) = soup(response).select("#reach")
    assert " ".join(reach.get_text().split()).startswith("3 clients · Not counted: 1 ")
    assert session.scalar(select(func.count(Mailing.id))) == 0, "nothing is saved"


def test_the_example_shows_the_line_in_the_inbox(browser: FlaskClient, user: User) -> None:
    create_clients(user, 1)[0].full_name = "Anna"
    message = MessageFactory.create(owner=user, subject="{{ name }}, tea!", preheader="Only for {{ name }}")
    mailing = MailingFactory.create(owner=user, message=message, state=MailingState.DRAFT)
    line = soup(preview(browser, user, mailing, step="check", sender_name="Tea House"))
    text = line.select_one(".inbox-line p")
    assert text is not None
    assert text.get_text(" ", strip=True) == "Tea House Anna, tea! Only for Anna"


@pytest.mark.both_engines
def test_the_number_of_all_clients_follows_every_change(
    browser: FlaskClient, user: User, session: Session
) -> None:
    """The number is cached on PostgreSQL."""
    clients = create_clients(user, 3)
    one: dict[str, Any] = {"ends_at": "2026-10-24T08:59"}
    assert "3 clients" in get_text(preview(browser, user, **one))
    create_clients(user, 1)
    assert "4 clients" in get_text(preview(browser, user, **one))
    suppression = SuppressionFactory.create(owner_id=user.id, email_key=clients[0].email_key)
    for _ in range(2):
        text = get_text(preview(browser, user, **one))
        assert "3 clients" in text
        assert "Not counted: 1 unsubscribed or excluded client." in text
    session.delete(suppression)
    session.flush()
    assert "4 clients" in get_text(preview(browser, user, **one))
    clients[1].email_key = "other@example.org"
    SuppressionFactory.create(owner_id=user.id, email_key="other@example.org")
    session.flush()
    assert "3 clients" in get_text(preview(browser, user, **one))
    session.delete(clients[2])
    session.flush()
    assert "2 clients" in get_text(preview(browser, user, **one))


@pytest.mark.both_engines
def test_only_selected_clients_are_counted(browser: FlaskClient, user: User) -> None:
    chosen = [client.id for client in create_clients(user, 4)[:2]]
    response = preview(browser, user, audience="selected", clients=chosen, ends_at="2026-10-24T08:59")
    assert len(list_starts(response)) == 1
    assert "2 clients" in get_text(response)
    assert "And so on" not in get_text(response)


def test_the_forecast_warns_if_no_one_gets_the_letter(browser: FlaskClient, user: User) -> None:
    assert "No one will get this email." in get_text(preview(browser, user))


def test_sending_hours_delay_the_first_and_last_letters(browser: FlaskClient, user: User) -> None:
    create_clients(user, 10)
    add_measured_run(user, per_second=5)
    # The 23rd is a Friday, after hours; the next opening is on Monday.
    hours: dict[str, Any] = {"weekdays": list("12345"), "opens_at": "08:00", "closes_at": "18:00"}
    response = preview(browser, user, periodicity="once", starts_at="2026-10-23T19:00", **hours)
    assert (
        "Fri, 23 Oct 2026, 19:00 UTC+2 10 clients sending begins at 26 Oct, 08:00 all sent by about 08:00"
        in get_text(response)
    )


def test_starts_delayed_to_the_same_hour_are_merged(browser: FlaskClient, user: User) -> None:
    create_clients(user, 2)
    hours: dict[str, Any] = {"weekdays": list("12345"), "opens_at": "09:00", "closes_at": "18:00"}
    days = [start.day for start in list_starts(preview(browser, user, **hours))]
    assert days == [23, 24, 27, 28, 29], "the starts on Saturday, Sunday and Monday are merged"


def test_the_forecast_warns_if_no_sending_hours_are_left(browser: FlaskClient, user: User) -> None:
    create_clients(user, 2)
    hours: dict[str, Any] = {"weekdays": ["1"], "opens_at": "08:00", "closes_at": "18:00"}
    response = preview(browser, user, periodicity="once", ends_at="2026-10-25T09:00", **hours)
    assert "nothing will be sent: no sending hours are left before the end date" in get_text(response)
    assert "about 2 emails will not be sent before the mailing ends" in get_text(response)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ends_at": ""}, "Choose when sending ends."),
        ({"ends_at": "2026-10-23T08:00"}, "The end must be after the start."),
        ({"starts_at": "2027-03-28T02:30", "ends_at": "2027-04-01T09:00"}, "does not exist on that day"),
        ({"ends_at": "2027-03-28T02:30"}, "does not exist on that day"),
        ({"starts_at": "soon"}, "Enter a date and a time"),
        ({"opens_at": "09:00"}, "Fill in both times"),
        ({"weekdays": ["9"]}, "not a valid choice"),
        ({"periodicity": "hourly"}, ""),
        ({"audience": "everybody", "on_late": "?", "on_unknown": "?"}, ""),
        ({"clients": "x", "audience": "selected"}, ""),
    ],
)
def test_errors_replace_the_forecast(
    browser: FlaskClient, user: User, changes: dict[str, Any], expected: str
) -> None:
    create_clients(user, 2)
    response = preview(browser, user, **changes)
    assert response.status_code == 200
    assert expected in get_text(response)
    assert not (expected and list_starts(response))


def test_a_button_shows_the_forecast_without_javascript_or_saving(
    browser: FlaskClient, user: User, session: Session
) -> None:
    create_clients(user, 3)
    fields = mailing_fields(
        MessageFactory.create(owner=user),
        starts_at="2026-10-23T09:00",
        ends_at="2026-10-30T09:00",
        periodicity="daily",
    )
    with time_machine.travel(NOW):
        page = browser.post("/mailings/new", data=fields | {"check": "1"})
        wrong = browser.post("/mailings/new", data=fields | {"check": "1", "ends_at": "2026-10-20T09:00"})
    assert len(list_starts(page)) == 5
    assert "3 clients" in get_main_text(page)
    assert not list_starts(wrong)
    assert get_main_text(wrong).count("The end must be after the start.") >= 2, (
        "next to the field and in the forecast"
    )
    assert session.scalars(select(Mailing)).all() == []


@pytest.mark.parametrize(
    ("state", "run_state"),
    [
        (MailingState.SCHEDULED, RunState.FINISHED),
        (MailingState.PAUSED, RunState.FINISHED),
        (MailingState.RUNNING, RunState.SENDING),
        (MailingState.FINISHED, RunState.FINISHED),
    ],
)
@pytest.mark.parametrize(
    "changes",
    [{}, {"starts_at": "2026-10-18T10:30"}, {"periodicity": "weekly"}, {"starts_at": "2026-10-25T07:00"}],
    ids=["unchanged", "other hour", "weekly", "later start"],
)
def test_the_forecast_for_a_change_matches_the_effect_of_saving(
    browser: FlaskClient,
    user: User,
    session: Session,
    state: MailingState,
    run_state: RunState,
    changes: dict[str, Any],
) -> None:
    ClientFactory.create(owner=user)
    start = utc_time("2026-10-18T07:00")
    mailing = MailingFactory.create(
        owner=user,
        state=state,
        periodicity=Periodicity.DAILY,
        starts_at=start,
        ends_at=utc_time("2026-10-20T11:00")
        if state is MailingState.FINISHED
        else utc_time("2026-11-20T08:00"),
        next_run_at=NOW.replace(day=21, hour=7)
        if state in (MailingState.SCHEDULED, MailingState.PAUSED)
        else None,
    )
    create_run(mailing, {DeliveryState.SENT: 1}, scheduled_for=start + timedelta(days=2), state=run_state)
    period = {"starts_at": format_local(start, "Europe/Berlin"), "ends_at": "2026-11-20T09:00"} | changes
    expected = list_starts(preview(browser, user, mailing, **period))
    fields = mailing_fields(mailing.message, **{"periodicity": "daily"} | period)
    with time_machine.travel(NOW):
        assert browser.post(f"/mailings/{mailing.id}/edit", data=fields).status_code == 302
        session.expire_all()
        page = browser.get(f"/mailings/{mailing.id}")
    assert list_starts(page) == expected
    assert expected
    if state is not MailingState.RUNNING or changes:
        assert mailing.next_run_at == expected[0]


def test_another_owners_mailing_has_no_forecast(browser: FlaskClient, user: User) -> None:
    foreign = MailingFactory.create(opens_at=time(9), closes_at=time(10))
    assert preview(browser, user, foreign).status_code == 404


@pytest.mark.both_engines
@pytest.mark.parametrize(
    "clients",
    [
        [f"match:{n}" for n in range(500)],
        [",".join(str(n * 2) for n in range(1, 100_000))],
        ["match:", "not:" + ",".join(str(n * 2) for n in range(1, 1_000))],
    ],
)
def test_a_selection_that_would_take_too_long_is_rejected(
    browser: FlaskClient, user: User, clients: list[str]
) -> None:
    response = preview(browser, user, audience="selected", clients=clients)
    assert response.status_code == 200
    assert "This selection is too complex." in get_text(response)


@pytest.mark.both_engines
@pytest.mark.only_on("postgresql")
def test_many_clients_are_counted_after_the_form_has_opened(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_clients(user, 3)
    monkeypatch.setattr(forecast, "MANY_CLIENTS", 2)

    MessageFactory.create(owner=user)

    opened = find_summary(browser)
    summary = get_text(preview(browser, user))

    assert "Counting your clients…" in opened.text
    assert str(opened["data-hx-trigger"]).startswith("load,")
    assert "3 clients" in summary
    assert "3 clients" in find_summary(browser).text  # the number is stored now


def find_summary(browser: FlaskClient) -> Tag:
    with time_machine.travel(NOW):
        summary = soup(browser.get("/mailings/new")).select_one("#summary")
    assert summary
    return summary
