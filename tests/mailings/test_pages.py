"""Test the list of mailings and the page for a single mailing."""

from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.models import (
    DeliveryState,
    MailingState,
    Outcome,
    RunState,
    User,
)
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import AttemptFactory, MailingFactory, MessageFactory, create_clients, create_run
from tests.support.statements import record_statements

# Page texts do not depend on the database.
pytestmark = pytest.mark.one_engine


def find_buttons(page: str) -> set[str]:
    return {
        name for name in ("start", "pause", "resume", "cancel", "resend-failed") if f'id="do-{name}"' in page
    }


# --- The list ---------------------------------------------------------------------------------


def test_an_empty_list_explains_what_to_do(browser: FlaskClient) -> None:
    page = browser.get("/mailings/").text
    assert "No mailings yet" in page
    assert "/mailings/new" in page


@pytest.mark.both_engines
def test_the_list_shows_state_next_start_and_last_result(browser: FlaskClient, user: User) -> None:
    MailingFactory.create(owner=user, name="Later", state=MailingState.SCHEDULED, next_run_at=utcnow())
    running = MailingFactory.create(owner=user, name="Now", state=MailingState.RUNNING)
    create_run(running, {DeliveryState.SENT: 3, DeliveryState.PENDING: 1}, state=RunState.SENDING)
    MailingFactory.create(name="Somebody else's")
    page = get_main_text(browser.get("/mailings/"))
    assert "75% done · " in page
    assert "3 of 4 delivered" in page
    assert "scheduled" in page
    assert "Somebody else's" not in page


def list_cells(page: TestResponse, label: str) -> list[str]:
    """Return the texts of a column of the list."""
    return [" ".join(cell.get_text(" ").split()) for cell in soup(page).select(f"td[data-label='{label}']")]


@pytest.mark.both_engines
def test_the_list_shows_the_shares_of_the_last_finished_run(
    browser: FlaskClient, user: User, session: Session
) -> None:
    MailingFactory.create(owner=user)
    sent = {DeliveryState.SENT: 3, DeliveryState.FAILED: 1}
    untracked = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    create_run(untracked, {DeliveryState.SENT: 2})
    weekly = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    now = utcnow()
    create_run(weekly, {DeliveryState.SENT: 9}, scheduled_for=now - timedelta(days=14), track_clicks=True)
    finished = create_run(weekly, sent, scheduled_for=now - timedelta(days=7), track_clicks=True)
    finished.clicked = 1
    create_run(weekly, {DeliveryState.PENDING: 5}, state=RunState.SENDING, scheduled_for=now)
    session.flush()
    page = browser.get("/mailings/?sort=created")
    assert list_cells(page, "Delivered") == ["–", "100%", "75%"]
    assert list_cells(page, "Clicked") == ["–", "–", "33.3%"]
    assert list_cells(page, "Last result") == ["–", "2 delivered", "0% done · 0 of 5 delivered"]


def test_the_list_shows_the_next_send_only_if_it_is_not_the_start(browser: FlaskClient, user: User) -> None:
    user.timezone = "UTC"
    start = datetime(2031, 5, 1, 9, tzinfo=UTC)
    for next_run_at in (start, start + timedelta(days=7)):
        MailingFactory.create(
            owner=user,
            state=MailingState.SCHEDULED,
            starts_at=start,
            next_run_at=next_run_at,
            ends_at=start + timedelta(days=30),
        )
    cells = list_cells(browser.get("/mailings/?sort=created"), "Start")
    assert cells == ["1 May 2031, 09:00", "1 May 2031, 09:00 Next send: 8 May 2031, 09:00"]


def test_the_list_needs_as_many_statements_for_many_mailings_as_for_one(
    browser: FlaskClient, user: User
) -> None:
    def count_statements() -> int:
        with record_statements() as statements:
            assert browser.get("/mailings/").status_code == 200
        return len(statements)

    message = MessageFactory.create(owner=user)
    create_run(MailingFactory.create(owner=user, message=message), {DeliveryState.SENT: 1})
    browser.get("/mailings/")
    few = count_statements()
    for _ in range(9):
        create_run(MailingFactory.create(owner=user, message=message), {DeliveryState.SENT: 1})
    assert count_statements() == few


@pytest.mark.both_engines
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=весен", {"Весенняя"}),
        ("q=SUMMER", {"Summer"}),
        ("q=%25", set()),
        ("q=%00", {"Весенняя", "Summer"}),
        ("state=draft", {"Summer"}),
        ("state=nonsense", {"Весенняя", "Summer"}),
        ("sort=name", {"Весенняя", "Summer"}),
        ("sort=-starts_at", {"Весенняя", "Summer"}),
        ("sort=nonsense&cursor=nonsense", {"Весенняя", "Summer"}),
    ],
)
def test_the_list_can_be_searched_filtered_and_sorted(
    browser: FlaskClient, user: User, query: str, expected: set[str]
) -> None:
    MailingFactory.create(owner=user, name="Весенняя", state=MailingState.PAUSED)
    MailingFactory.create(owner=user, name="Summer")
    response = browser.get(f"/mailings/?{query}")
    assert response.status_code == 200
    assert {link.text for link in soup(response).select("td a")} == expected


@pytest.mark.both_engines
def test_the_list_is_paginated(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)
    for number in range(51):
        MailingFactory.create(owner=user, message=message, name=f"Mailing {number:02}")
    first = soup(browser.get("/mailings/?sort=name"))
    (link,) = first.select("a[rel=next]")
    second = soup(browser.get(str(link["href"])))
    names = [row.text for row in [*first.select("td a"), *second.select("td a")]]
    assert names == [f"Mailing {number:02}" for number in range(51)]


# --- A mailing --------------------------------------------------------------------------------


def test_the_page_shows_message_recipients_and_times(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="Скидки {{ name }}")
    create_clients(user, 3)
    mailing = MailingFactory.create(owner=user, name="Осень", message=message, sender_name="Лавка")
    text = get_main_text(browser.get(f"/mailings/{mailing.id}"))
    for part in ("Осень", "Скидки [name]", "Лавка", "all clients: 3", "draft", "once"):
        assert part in text, part


def test_the_page_shows_that_the_counts_add_up(browser: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    create_run(mailing, {state: number for number, state in enumerate(DeliveryState, 1)})
    response = browser.get(f"/mailings/{mailing.id}")
    line = soup(response).find(id="ledger-sum")
    assert line is not None
    assert " ".join(line.text.split()) == "Planned 45 = 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 all accounted for"
    assert "6 emails are unclear" in get_main_text(response)


@pytest.mark.both_engines
def test_a_ledger_that_does_not_balance_is_reported(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    run = create_run(mailing, {DeliveryState.SENT: 3})
    run.planned = 2
    session.flush()
    assert "do not add up (3)" in get_main_text(browser.get(f"/mailings/{mailing.id}"))


@pytest.mark.both_engines
def test_the_page_shows_the_latest_attempts(browser: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    run = create_run(mailing, {})
    AttemptFactory.create(
        delivery__run=run, code=550, answer="5.1.1 <b>no such user</b>", outcome=Outcome.FAILED
    )
    page = browser.get(f"/mailings/{mailing.id}")
    assert "550 5.1.1 <b>no such user</b>" in get_main_text(page)


@pytest.mark.parametrize(
    ("state", "has_run", "expected"),
    [
        (MailingState.DRAFT, False, {"start"}),
        (MailingState.SCHEDULED, False, {"start", "pause", "cancel"}),
        (MailingState.RUNNING, True, {"pause", "cancel", "resend-failed"}),
        (MailingState.PAUSED, True, {"resume", "cancel", "resend-failed"}),
        (MailingState.FINISHED, True, {"resend-failed"}),
        (MailingState.CANCELLED, True, set()),
    ],
)
def test_only_possible_actions_have_buttons(
    browser: FlaskClient, user: User, session: Session, state: MailingState, has_run: bool, expected: set[str]
) -> None:
    mailing = MailingFactory.create(owner=user, state=state)
    if has_run:
        create_run(mailing, {DeliveryState.FAILED: 1})
    assert find_buttons(browser.get(f"/mailings/{mailing.id}").text) == expected
    mailing.disabled_at, mailing.disabled_reason = utcnow(), "spam complaints"
    session.flush()
    page = browser.get(f"/mailings/{mailing.id}").text
    assert find_buttons(page) == expected - {"start", "resume", "resend-failed"}
    assert "spam complaints" in page


def test_the_live_part_polls_while_running_and_stops_when_finished(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    create_run(mailing, {DeliveryState.PENDING: 1}, state=RunState.SENDING)
    url = f"/mailings/{mailing.id}/progress"
    page, fragment = browser.get(f"/mailings/{mailing.id}").text, browser.get(url).text
    assert f'hx-get="{url}?' in page
    assert f'hx-get="{url}?' in fragment
    assert "<html" not in fragment
    mailing.state = MailingState.FINISHED
    session.flush()
    assert "hx-get" not in browser.get(url).text


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("window-over", "ended before it could start"),
        ("no-clients", "no clients to send it to"),
        ("refused: 550 5.7.1 go away", "refuses the sender, so the mailing was paused: 550 5.7.1 go away"),
        ("rejected: 554 spam", "with the same reply, so the mailing was paused: 554 spam"),
        (
            "not-writable: too long",
            "The message has an error, so the mailing was paused: too long",
        ),
        ("", ""),
    ],
)
def test_the_reason_for_a_state_is_a_sentence(
    browser: FlaskClient, user: User, reason: str, expected: str
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, state_reason=reason)
    assert expected in get_main_text(browser.get(f"/mailings/{mailing.id}"))


def test_an_unchanged_live_page_is_not_sent_again(browser: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    run = create_run(mailing, {DeliveryState.SENT: 3, DeliveryState.PENDING: 1})
    live = soup(browser.get(f"/mailings/{mailing.id}")).select("#live")[0]

    first = browser.get(str(live["data-hx-get"]))
    next_url = str(soup(first).select("#live")[0]["data-hx-get"])
    assert first.status_code == 200
    assert browser.get(next_url).status_code == 204

    create_run(mailing, {DeliveryState.PENDING: 1}, scheduled_for=run.scheduled_for + timedelta(days=1))
    assert browser.get(next_url).status_code == 200


def test_the_live_page_has_a_table_for_each_chart(browser: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    create_run(mailing, {DeliveryState.SENT: 3, DeliveryState.FAILED: 2, DeliveryState.PENDING: 1})
    page = soup(browser.get(f"/mailings/{mailing.id}"))
    drawn = {str(figure["data-chart-of"]) for figure in page.select("figure[data-chart-of]")}
    assert drawn == {"timeline", "outcomes"}
    cells = page.select("#outcomes tbody tr")
    shown = {row.select("th")[0].get_text(): int(row.select("td")[0].get_text()) for row in cells}
    assert shown == {"Delivered": 3, "Not delivered": 2, "Waiting": 1}
    titles = [title.get_text() for title in page.select("#timeline thead th")]
    assert titles == ["Time", "Delivered", "Not delivered"], "the words of the tiles"
