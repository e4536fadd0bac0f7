"""Test the form's steps and the summary that is shown before a mailing is set up."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clients.rows import ClientRow
from skymailing.clients.upsert import upsert_clients
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.mailings import missing_values
from skymailing.models import Mailing, Origin, OutboxLetter, User
from tests.mailings.pages import format_local, mailing_fields, soup
from tests.support.factories import ClientFactory, MessageFactory, SuppressionFactory, create_clients

# Forms and pages do not depend on the database.
pytestmark = pytest.mark.one_engine


def find_open_step(page: TestResponse) -> str:
    (section,) = soup(page).select(".form-step.is-current")
    return str(section["data-step"])


def get_summary(page: TestResponse) -> str:
    parts = soup(page).select("#summary") or [soup(page)]
    return " ".join(parts[0].get_text(" ").split())


def test_no_message_is_chosen_before_the_owner_chooses(browser: FlaskClient, user: User) -> None:
    older = MessageFactory.create(owner=user, subject="An offer")
    MessageFactory.create(owner=user, subject="An unfinished draft")
    page = browser.get("/mailings/new")
    options = soup(page).select("[name=message] option")
    assert [option.text for option in options] == ["Choose a message", "An unfinished draft", "An offer"]
    assert [option["value"] for option in options if option.has_attr("selected")] == []
    (look,) = soup(page).select("[data-look]")
    assert look.has_attr("hidden")
    assert not look.has_attr("src")

    page = browser.post("/mailings/new", data=mailing_fields(older) | {"message": "0", "name": ""})
    assert "Choose a message." in page.text
    assert "Enter a name." not in page.text
    assert soup(page).select_one("#name[value='']"), "the placeholder is not used as a name"

    page = browser.get(f"/mailings/new?message={older.id}")
    (selected,) = soup(page).select("[name=message] option[selected]")
    assert selected.text == "An offer"
    (look,) = soup(page).select("[data-look]")
    assert look["src"] == f"/messages/{older.id}/preview?part=html"


def test_a_new_mailing_opens_with_the_recipients(browser: FlaskClient, user: User) -> None:
    MessageFactory.create(owner=user)
    assert find_open_step(browser.get("/mailings/new")) == "who"


def test_a_saved_mailing_opens_with_its_summary(browser: FlaskClient, user: User, session: Session) -> None:
    browser.post("/mailings/new", data=mailing_fields(MessageFactory.create(owner=user), draft="1"))
    page = browser.get(f"/mailings/{session.scalars(select(Mailing.id)).one()}/edit")
    assert find_open_step(page) == "check"
    assert "Осенние скидки" in page.text


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"audience": "selected"}, "who"),
        ({"name": "x" * 201}, "what"),
        ({"ends_at": ""}, "when"),
        ({"opens_at": "09:00"}, "when"),
        ({"name": "x" * 201, "ends_at": ""}, "what"),
        ({"check": "1"}, "check"),
        ({"pick": "stay", "step": "when"}, "when"),
        ({"pick": "search", "step": "who"}, "who"),
    ],
)
def test_the_form_opens_at_the_step_with_an_error(
    browser: FlaskClient, user: User, changes: dict[str, Any], step: str
) -> None:
    fields = mailing_fields(MessageFactory.create(owner=user)) | changes
    assert find_open_step(browser.post("/mailings/new", data=fields)) == step


def test_the_summary_shows_who_what_and_when(browser: FlaskClient, user: User) -> None:
    clients = create_clients(user, 5)
    SuppressionFactory.create(owner_id=user.id, email_key=clients[0].email_key)
    start = utcnow() + timedelta(hours=3)
    message = MessageFactory.create(owner=user, subject="Autumn news")
    fields = mailing_fields(
        message, sender_name="The Bakery", starts_at=format_local(start), periodicity="daily"
    )
    page = browser.post("/mailings/new", data=fields | {"check": "1"})
    summary = get_summary(page)
    assert "4 clients" in summary
    assert "Autumn news" in summary
    assert "from The Bakery" in summary
    assert "daily" in summary
    assert "Not counted: 1 unsubscribed or excluded client" in summary
    # The first client gets no letter, so the example shows the letter to the second.
    (frame,) = soup(page).select("#example iframe[sandbox]")
    assert frame["src"] == f"/messages/{message.id}/preview?client={clients[1].id}&part=html"
    assert browser.get(str(frame["src"])).status_code == 200


def test_the_live_summary_lists_errors_without_saving(
    browser: FlaskClient, user: User, session: Session
) -> None:
    ClientFactory.create(owner=user)
    fields = mailing_fields(MessageFactory.create(owner=user), name="x" * 201, audience="selected")
    response = browser.post("/mailings/preview", data=fields | {"step": "who"})
    assert "Still to do" in response.text
    assert {link["href"] for link in soup(response).select("#problems a")} == {"#step-who", "#step-what"}
    # The letter is loaded only if its step is open.
    assert "iframe" not in response.text
    assert "iframe" in browser.post("/mailings/preview", data=fields | {"step": "check"}).text
    assert session.scalar(select(Mailing.id)) is None


def test_a_test_letter_is_sent_from_the_form_without_saving(
    browser: FlaskClient, user: User, session: Session
) -> None:
    message = MessageFactory.create(owner=user)
    page = browser.post("/mailings/new", data=mailing_fields(message, name="Typed", check="test"))
    letter = session.scalars(select(OutboxLetter)).one()
    assert (letter.to, letter.params["message_id"]) == (user.email, message.id)
    assert "Test email sent to" in page.text
    assert 'value="Typed"' in page.text
    assert session.scalar(select(Mailing.id)) is None


def test_another_owners_message_is_not_sent_as_a_test(
    browser: FlaskClient, user: User, session: Session
) -> None:
    MessageFactory.create(owner=user)
    browser.post("/mailings/new", data=mailing_fields(MessageFactory.create(), check="test"))
    assert session.scalar(select(OutboxLetter.id)) is None


def list_missing_values(browser: FlaskClient, fields: dict[str, Any]) -> list[str]:
    lines = soup(browser.post("/mailings/preview", data=fields)).select("#missing-values p")
    return [line.get_text() for line in lines[:-1]]  # the last line links to the message


@pytest.mark.both_engines
def test_the_summary_counts_clients_who_lack_a_value(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = """{{ name }}, {{ client.city }}! {{ client.bonus | default: 0 }}
        {% if client.pet %}{{ client.pet }}{% endif %} {{ client['a "b"'] }} {{ email }}"""
    message = MessageFactory.create(owner=user, body=body)
    anna = ClientFactory.create(owner=user, full_name="Anna", attributes={"city": " "})
    boris = ClientFactory.create(owner=user, full_name="", attributes={})
    ClientFactory.create(owner=user, full_name="Vera", attributes={"city": "Rome"})
    suppressed = ClientFactory.create(owner=user, full_name="", attributes={})
    SuppressionFactory.create(owner_id=user.id, email_key=suppressed.email_key)
    ClientFactory.create(full_name="")  # another owner's client
    city = "no value for {{ client.city }}, so it will be empty."
    name = "1 client has no value for {{ name }}, so it will be empty."

    for_all = mailing_fields(message)
    assert list_missing_values(browser, for_all) == [f"2 clients have {city}", name]
    chosen = for_all | {"audience": "selected", "clients": [str(anna.id)]}
    assert list_missing_values(browser, chosen) == [f"1 client has {city}"]
    matching = for_all | {"audience": "selected", "clients": [f"match:{boris.email}", str(anna.id)]}
    assert list_missing_values(browser, matching) == [f"2 clients have {city}", name]
    monkeypatch.setattr(missing_values, "MAX_EXAMINED", 1)
    assert list_missing_values(browser, for_all)[-1] == "Only the first client was checked."


@pytest.mark.both_engines
def test_no_warning_if_every_client_has_the_values(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, body="{{ name }}, {{ client.city }}")
    ClientFactory.create(owner=user, full_name="Anna", attributes={"city": "Rome"})
    assert not soup(browser.post("/mailings/preview", data=mailing_fields(message))).select("#missing-values")


def test_without_a_message_there_is_neither_a_form_nor_its_script(browser: FlaskClient) -> None:
    page = browser.get("/mailings/new").text
    assert "First, write a message" in page
    assert "js/steps." not in page


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, "Send to 3 clients now"),
        ({"starts_at": "2031-12-01T12:00", "ends_at": "2031-12-02T12:00"}, "Schedule for 1 Dec 2031, 12:00"),
        (
            {
                "opens_at": f"{utcnow() + timedelta(hours=2):%H:00}",
                "closes_at": f"{utcnow() + timedelta(hours=3):%H:00}",
            },
            f"{utcnow() + timedelta(hours=2):%H:00}",
        ),
        ({"name": "x" * 201}, "Set up the mailing"),
    ],
)
def test_the_last_button_is_labelled_with_its_action(
    browser: FlaskClient, user: User, changes: dict[str, Any], label: str
) -> None:
    create_clients(user, 3)
    fields = mailing_fields(MessageFactory.create(owner=user), step="check") | changes
    response = browser.post("/mailings/preview", data=fields)
    button = soup(response).select_one("#start-button button")
    assert button is not None
    assert label in button.get_text()
    assert bool(button.get("data-asks")) == ("now" in label)


def test_a_scheduled_mailing_is_only_saved(browser: FlaskClient, user: User, session: Session) -> None:
    starts_at = format_local(utcnow() + timedelta(hours=2))
    fields = mailing_fields(MessageFactory.create(owner=user), starts_at=starts_at)
    browser.post("/mailings/new", data=fields)
    path = f"/mailings/{session.scalars(select(Mailing.id)).one()}"
    assert not soup(browser.get(f"{path}/edit")).select("#start-button")
    response = browser.post(f"{path}/preview", data=fields | {"step": "check"})
    assert not soup(response).select("#start-button")


@pytest.mark.both_engines
def test_clients_with_a_value_under_a_cyrillic_name_are_not_counted(
    browser: FlaskClient, user: User, app: Flask
) -> None:
    message = MessageFactory.create(owner=user, body="{{ client.город }}, {{ client.ваш_клуб }}")
    rows = [
        ClientRow(f"{number}@example.org", f"{number}@example.org", "Анна", "", "", {"город": city})
        for number, city in enumerate(["Омск", "Тверь", ""])
    ]
    with app.app_context():
        upsert_clients(user.id, rows, utcnow(), Origin.IMPORT)  # as an import does
        upsert_clients(user.id, [rows[1]._replace(attributes={"город": "Псков"})], utcnow(), Origin.IMPORT)
        db.session.commit()

    assert list_missing_values(browser, mailing_fields(message)) == [
        "3 clients have no value for {{ client.ваш_клуб }}, so it will be empty.",
        "1 client has no value for {{ client.город }}, so it will be empty.",
    ]
    exported = browser.get("/clients/export").get_data(as_text=True)
    assert [line.split(",")[-1].strip('"') for line in exported.splitlines()] == [
        "город",
        "Омск",
        "Псков",
        "",
    ]
