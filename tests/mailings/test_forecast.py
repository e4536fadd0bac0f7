"""What the form says a mailing would come to: live, by a button, and as it then happens."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.models import DeliveryState, Mailing, MailingState, Periodicity, RunState, User
from tests.conftest import SignIn
from tests.mailings.pages import at, local, mailing_fields, main, soup
from tests.support.factories import (
    ClientFactory,
    MailingFactory,
    MessageFactory,
    SuppressionFactory,
    UserFactory,
    count_changes,
    create_clients,
    create_run,
)

NOW = at("2026-10-20T12:00")


@pytest.fixture
def user(session: Session) -> User:
    return UserFactory.create(timezone="Europe/Berlin")


@pytest.fixture
def browser(user: User, sign_in: SignIn) -> FlaskClient:
    with time_machine.travel(NOW):
        return sign_in(user)


def preview(browser: FlaskClient, user: User, mailing: Mailing | None = None, **changes: Any) -> TestResponse:
    """Ask for the forecast of a daily mailing at nine on the clock, as the form does by itself."""
    message = mailing.message if mailing else MessageFactory.create(owner=user)
    window = {"starts_at": "2026-10-23T09:00", "ends_at": "2026-10-30T09:00", "periodicity": "daily"}
    fields = mailing_fields(message, **window | changes)
    with time_machine.travel(NOW):
        return browser.post(
            f"/mailings/{mailing.id}/preview" if mailing else "/mailings/preview", data=fields
        )


def starts(answer: TestResponse) -> list[datetime]:
    """Return the starts that are listed."""
    return [
        datetime.fromisoformat(str(tag["datetime"]))
        for tag in soup(answer).select("#forecast-list > li > time:first-child")
    ]


def text_of(answer: TestResponse) -> str:
    return " ".join(soup(answer).get_text(" ").split())


def let_a_run_be_known(owner: User, per_second: int) -> None:
    """Add a finished run of so many letters per second, from which the rate is told."""
    mailing = MailingFactory.create(owner=owner, state=MailingState.FINISHED)
    run = create_run(mailing, {}, planned=per_second * 100, scheduled_for=NOW - timedelta(days=3))
    with count_changes(run) as changes:
        for second in range(30):
            changes.add("sent", per_second, run.started_at + timedelta(seconds=second))
        for second in range(60, 130, 10):
            changes.add("sent", per_second * 10, run.started_at + timedelta(seconds=second))


def test_it_lists_five_starts_on_the_owners_clock_and_whom_each_reaches(
    browser: FlaskClient, user: User, session: Session
) -> None:
    clients = create_clients(user, 4)
    create_clients(UserFactory.create(), 3)
    SuppressionFactory.create(owner_id=user.id, email_key=clients[0].email_key)
    answer = preview(browser, user)
    # The clocks are put back on the 25th: nine stays nine, and is an hour later in UTC.
    hours = {23: 7, 24: 7, 25: 8, 26: 8, 27: 8}
    assert starts(answer) == [datetime(2026, 10, day, hour, tzinfo=UTC) for day, hour in hours.items()]
    assert [item.get_text(" ").split("3 client")[0].count("09:00") for item in soup(answer).select("li")] == [
        1
    ] * 5
    assert all("3 clients" in item.get_text(" ") for item in soup(answer).select("#forecast-list li"))
    assert "And so on until the end." in text_of(answer)
    assert "1 client who has unsubscribed or is never mailed is not counted." in text_of(answer)
    assert session.scalar(select(func.count(Mailing.id))) == 0, "nothing is saved"


def test_only_those_who_are_selected_are_counted(browser: FlaskClient, user: User) -> None:
    chosen = [client.id for client in create_clients(user, 4)[:2]]
    answer = preview(browser, user, audience="selected", clients=chosen, ends_at="2026-10-24T08:59")
    assert len(starts(answer)) == 1
    assert "2 clients" in text_of(answer)
    assert "And so on" not in text_of(answer)


def test_nobody_to_write_to_is_said_before_it_is_saved(browser: FlaskClient, user: User) -> None:
    assert "Nobody would get this letter." in text_of(preview(browser, user))


def test_it_warns_of_what_does_not_fit_into_the_window_at_the_rate_of_the_last_runs(
    browser: FlaskClient, user: User
) -> None:
    create_clients(user, 30)
    let_a_run_be_known(user, per_second=5)
    window = {"periodicity": "once", "starts_at": "2026-10-23T09:00:00"}
    fits = preview(browser, user, **window, ends_at="2026-10-23T09:00:10")
    assert "Expected: 5 letters per second." in text_of(fits)
    assert "all sent about" in text_of(fits)
    assert "does not fit" not in text_of(fits)
    too_long = preview(browser, user, **window, ends_at="2026-10-23T09:00:02")
    assert "It does not fit into the window: about 20 letters would not be sent" in text_of(too_long)


def test_a_limited_rate_is_what_is_expected(
    app: Flask, browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_clients(user, 3)
    let_a_run_be_known(user, per_second=5)
    monkeypatch.setitem(app.config, "MAIL_RATE_PER_MAILING", 0.5)
    answer = preview(browser, user, ends_at="2026-10-23T09:00:04", periodicity="once")
    assert "Expected: 30 letters per minute." in text_of(answer)
    assert "about 1 letter would not be sent before the end" in text_of(answer)


def test_sending_hours_move_the_beginning_and_what_is_sent_by_when(browser: FlaskClient, user: User) -> None:
    create_clients(user, 10)
    let_a_run_be_known(user, per_second=5)
    # The 23rd is a Friday, after hours; the next opening is on Monday.
    hours = {"weekdays": list("12345"), "opens_at": "08:00", "closes_at": "18:00"}
    answer = preview(browser, user, periodicity="once", starts_at="2026-10-23T19:00", **hours)
    assert (
        "Fri, 23 Oct 2026, 19:00 UTC+2 10 clients sending begins 26 Oct, 08:00 all sent about 08:00"
        in text_of(answer)
    )


def test_what_rests_until_the_same_opening_is_one_start(browser: FlaskClient, user: User) -> None:
    create_clients(user, 2)
    hours = {"weekdays": list("12345"), "opens_at": "09:00", "closes_at": "18:00"}
    days = [start.day for start in starts(preview(browser, user, **hours))]
    assert days == [23, 24, 27, 28, 29], "Saturday, Sunday and Monday are Monday's"


def test_hours_that_never_open_before_the_end_are_warned_of(browser: FlaskClient, user: User) -> None:
    create_clients(user, 2)
    hours = {"weekdays": ["1"], "opens_at": "08:00", "closes_at": "18:00"}
    answer = preview(browser, user, periodicity="once", ends_at="2026-10-25T09:00", **hours)
    assert "nothing is sent: no sending hours are left before the end" in text_of(answer)
    assert "about 2 letters would not be sent before the end" in text_of(answer)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ends_at": ""}, "Say until when letters may be sent."),
        ({"ends_at": "2026-10-23T08:00"}, "The end must be after the start."),
        ({"starts_at": "2027-03-28T02:30", "ends_at": "2027-04-01T09:00"}, "does not exist on that day"),
        ({"ends_at": "2027-03-28T02:30"}, "does not exist on that day"),
        ({"starts_at": "soon"}, "Write a date and a time"),
        ({"opens_at": "09:00"}, "Say both"),
        ({"weekdays": ["9"]}, "not a valid choice"),
        ({"periodicity": "hourly"}, ""),
        ({"audience": "everybody", "on_late": "?", "on_unknown": "?"}, ""),
        ({"clients": "x", "audience": "selected"}, ""),
    ],
)
def test_what_is_wrong_is_said_instead(
    browser: FlaskClient, user: User, changes: dict[str, Any], words: str
) -> None:
    create_clients(user, 2)
    answer = preview(browser, user, **changes)
    assert answer.status_code == 200
    assert words in text_of(answer)
    assert not (words and starts(answer))


def test_without_javascript_a_button_shows_the_same_and_saves_nothing(
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
    assert len(starts(page)) == 5
    assert "3 clients" in main(page)
    assert not starts(wrong)
    assert main(wrong).count("The end must be after the start.") >= 2, "beside the field and in the forecast"
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
def test_of_a_change_it_foretells_what_saving_brings(
    browser: FlaskClient,
    user: User,
    session: Session,
    state: MailingState,
    run_state: RunState,
    changes: dict[str, Any],
) -> None:
    ClientFactory.create(owner=user)
    started = at("2026-10-18T07:00")
    mailing = MailingFactory.create(
        owner=user,
        state=state,
        periodicity=Periodicity.DAILY,
        starts_at=started,
        ends_at=at("2026-10-20T11:00") if state is MailingState.FINISHED else at("2026-11-20T08:00"),
        next_run_at=NOW.replace(day=21, hour=7)
        if state in (MailingState.SCHEDULED, MailingState.PAUSED)
        else None,
    )
    create_run(mailing, {DeliveryState.SENT: 1}, scheduled_for=started + timedelta(days=2), state=run_state)
    window = {"starts_at": local(started, "Europe/Berlin"), "ends_at": "2026-11-20T09:00"} | changes
    foretold = starts(preview(browser, user, mailing, **window))
    fields = mailing_fields(mailing.message, **{"periodicity": "daily"} | window)
    with time_machine.travel(NOW):
        assert browser.post(f"/mailings/{mailing.id}/edit", data=fields).status_code == 302
        session.expire_all()
        page = browser.get(f"/mailings/{mailing.id}")
    assert starts(page) == foretold
    assert foretold
    if state is not MailingState.RUNNING or changes:
        assert mailing.next_run_at == foretold[0]


def test_somebody_elses_mailing_has_no_forecast(browser: FlaskClient, user: User) -> None:
    foreign = MailingFactory.create(opens_at=time(9), closes_at=time(10))
    assert preview(browser, user, foreign).status_code == 404
