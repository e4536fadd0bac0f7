"""Test the timeline on a client's page: its events, filter and pages."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clients import opt_outs
from skymailing.clients.consents import read_time, record
from skymailing.clients.timeline import events
from skymailing.clients.timeline.kinds import FILTERED_KINDS, EventKind
from skymailing.clients.timeline.loading import LOADERS
from skymailing.clients.timeline.sources import LETTER_SOURCES, SOURCES
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import (
    BounceKind,
    Client,
    ConsentKind,
    DeliveryState,
    Engagement,
    MailingKind,
    SuppressionReason,
    User,
)
from skymailing.retention.batches import remove_letters_in
from tests.clients.timeline_events import SINGLE_EVENTS, History
from tests.mailings.pages import soup
from tests.support.factories import ClientFactory, DeliveryFactory, RunFactory, UserFactory
from tests.support.letter_factories import create_letter

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def client(user: User) -> Client:
    values = {"email": "anna@example.org", "created_at": START - timedelta(days=1)}
    client: Client = ClientFactory.create(owner=user, **values)
    return client


@pytest.fixture
def history(session: Session, client: Client) -> History:
    return History(session, client)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def read_events(browser: FlaskClient, client: Client, query: str = "") -> list[str]:
    """Return the text of each event on the page, with its time at the end."""
    page = browser.get(f"/clients/{client.id}{query}")
    assert page.status_code == 200
    items = soup(page).select(".client-event")
    return [" ".join(item.get_text(" ").split()) for item in items]


def fill(history: History) -> None:
    """Let an event of every kind happen, one an hour."""
    letter = history.letter(at(0))
    history.open(letter, at(1))
    history.click(history.letter(at(2), name="Autumn"), at(3))
    history.letter(at(4), DeliveryState.FAILED)
    history.purchase(at(5), order_number="1001", amount=149_990)
    history.bounce(at(6))
    history.consent(at(7), "confirmed", ip="192.0.2.7")
    history.topic(at(8), is_joined=False)
    history.topic(at(9), is_joined=True)
    history.suppress(at(10))
    history.merge(at(11))
    history.sequence(at(12), at(13), "condition")
    history.sequence(at(14), at(15))
    history.note(at(16), "Called <b>")
    history.opt_out(at(17), undone_at=at(18), reason="too-many", comment="Daily!")


def test_it_shows_every_kind_of_event_newest_first(
    browser: FlaskClient, client: Client, history: History
) -> None:
    fill(history)

    found = read_events(browser, client)
    hidden = [re.sub(r" \d\d:\d\d| \d+(?=”)|(?<=old)\d+", "", text).replace("\xa0", " ") for text in found]
    why = "Why this client? Not recorded for this email."
    assert hidden == [
        "subscribed again",
        "unsubscribed from everything Too many emails Daily!",
        "Called <b> Delete",
        "Completed the sequence “Welcome”",
        "Entered the sequence “Welcome”",
        "Left the sequence “Welcome” met the condition for leaving",
        "Entered the sequence “Welcome”",
        "Merged with old@example.org",
        "excluded manually",
        "subscribed to “topic” set by you",
        "unsubscribed from “topic”",
        "confirmed by email 192.0.2.7",
        "Email returned: temporary problem 4.2.2 mailbox full",
        "Order 1001: RUB 1,499.90",
        f"Sale not delivered {why} mailbox full 552 5.2.2 The mailbox is full",
        "Clicked “Tea” Autumn 2 times https://shop.example/tea",
        f"Autumn delivered {why}",
        "Opened the email Sale 3 times",
        f"Sale delivered {why}",
        "Added to your clients",
    ]
    assert found[-2].endswith("12:00")
    assert found[-5].endswith("15:00"), "milliseconds in the time zone of the page"


@pytest.mark.one_engine
def test_transactional_emails_belong_to_the_address(browser: FlaskClient, user: User, client: Client) -> None:
    create_letter(user, client.email)
    create_letter(user, client.email, is_caught=True)
    create_letter(user, "bo@example.org")
    assert [text.rsplit(" ", 1)[0] for text in read_events(browser, client, "?show=emails")] == [
        "Order waiting transactional email"
    ]


@pytest.mark.one_engine
def test_letters_of_sequences_have_the_subject_of_the_step(
    browser: FlaskClient, client: Client, history: History
) -> None:
    letter = history.letter(at(0), kind=MailingKind.SEQUENCE, name="Welcome")
    letter.run.mailing.message.subject = "First steps for {{ name }}"
    client.full_name = "Анна"
    history.session.flush()
    (text,) = read_events(browser, client, "?show=emails")
    assert text == "First steps for Анна delivered sequence “Welcome” 12:00"


@pytest.mark.one_engine
def test_machines_clicks_and_days_of_opens_are_no_events(
    session: Session, browser: FlaskClient, client: Client, history: History
) -> None:
    letter = history.letter(at(0))
    history.click(letter, at(1))
    click = session.get_one(Engagement, letter.id)
    click.opened_on = at(2).date()
    session.flush()
    assert len(read_events(browser, client, "?show=clicks")) == 1
    (text,) = read_events(browser, client, "?show=emails")
    assert "last opened on 2 Mar 2026" in text


def test_unsubscribing_and_its_undo_are_shown_once(
    app: Flask, session: Session, browser: FlaskClient, client: Client
) -> None:
    now = utcnow()
    with app.app_context():
        opt_outs.opt_out(client.owner_id, client.email_key, None, now)
        found = opt_outs.find_undoable(client.owner_id, client.email_key, None, now)
        assert found
        undone = now + timedelta(minutes=5)
        assert opt_outs.undo(client.owner_id, client.email_key, found.id, undone)
        db.session.commit()
    texts = read_events(browser, client, "?show=subscription")
    assert [text.rsplit(" ", 1)[0] for text in texts] == [
        "subscribed again",
        "unsubscribed from everything",
        "Added to your clients",
    ]


def test_a_suppression_is_shown_only_if_nothing_else_explains_it(
    app: Flask, session: Session, browser: FlaskClient, client: Client, history: History
) -> None:
    history.suppress(at(1), SuppressionReason.COMPLAINED)
    assert "marked as spam 13:00" in read_events(browser, client)
    with app.app_context():
        record(client.owner_id, client.email_key, ConsentKind.OBJECTED, at(1))
        db.session.commit()
    assert read_events(browser, client)[0] == "reported spam 13:00"
    history.bounce(at(0), BounceKind.COMPLAINT)
    assert [text[:14] for text in read_events(browser, client)] == ["marked as spam", "Added to your "]


def test_the_filter_shows_some_kinds(browser: FlaskClient, client: Client, history: History) -> None:
    letter = history.letter(at(0))
    history.click(letter, at(1))
    history.purchase(at(2))
    history.note(at(3))
    shown = {
        name: [text[:5] for text in read_events(browser, client, f"?show={name}")]
        for name in ("emails", "clicks", "purchases", "subscription", "notes", "nonsense")
    }
    assert shown == {
        "emails": ["Sale "],
        "clicks": ["Click"],
        "purchases": ["Order"],
        "subscription": ["Added"],
        "notes": ["Calle"],
        "nonsense": ["Calle", "Order", "Click", "Sale ", "Added"],
    }


@pytest.mark.one_engine
def test_a_sequence_is_completed_after_its_last_email(
    browser: FlaskClient, client: Client, history: History
) -> None:
    history.letter(at(1), name="Second email")
    history.sequence(at(0), at(1))
    history.letter(at(0), name="First email")
    names = [re.sub(r" (delivered|“).*", "", text) for text in read_events(browser, client)]
    assert names == [
        "Completed the sequence",
        "Second email",
        "First email",
        "Entered the sequence",
        "Added to your clients 12:00",
    ]


@pytest.mark.one_engine
def test_filters_without_events_of_any_client_are_hidden(
    browser: FlaskClient, client: Client, history: History
) -> None:
    def read_chips() -> list[str]:
        page = BeautifulSoup(browser.get(f"/clients/{client.id}").text, "html.parser")
        return [chip.text for chip in page.select("#timeline .choices a")]

    assert read_chips() == ["All", "Emails", "Subscription", "Notes"]
    History(history.session, ClientFactory.create(owner=client.owner)).purchase(at(0))
    history.letter(at(0), track_clicks=True)
    assert read_chips() == ["All", "Emails", "Clicks", "Purchases", "Subscription", "Notes"]


@pytest.mark.one_engine
def test_events_of_others_are_not_shown(
    session: Session, browser: FlaskClient, client: Client, history: History
) -> None:
    stranger: Client = ClientFactory.create(owner=UserFactory.create(), email=client.email)
    other: Client = ClientFactory.create(owner=client.owner)
    for person in (stranger, other):
        for happen in SINGLE_EVENTS:
            happen(History(session, person), at(1))
    assert read_events(browser, client) == ["Added to your clients 12:00"]
    assert browser.get(f"/clients/{stranger.id}").status_code == 404
    # SQLite gives the ID of a deleted client to the next one; a letter of the other owner may still have it.
    DeliveryFactory.create(run=RunFactory.create(mailing__owner=stranger.owner), client=client)
    assert len(read_events(browser, client)) == 1


@pytest.mark.one_engine
def test_letters_that_retention_has_removed_are_gone(
    app: Flask, browser: FlaskClient, client: Client, history: History
) -> None:
    letter = history.letter(at(0))
    history.click(letter, at(1))
    with app.app_context():
        remove_letters_in(db.session.connection(), letter.run_id)
        db.session.commit()
    assert read_events(browser, client) == ["Added to your clients 12:00"]


@pytest.mark.one_engine
def test_every_kind_has_a_source_a_loader_a_filter_and_an_icon() -> None:
    kinds = set(EventKind)
    assert SOURCES.keys() | LETTER_SOURCES.keys() == LOADERS.keys() == kinds
    filtered = [kind for group in FILTERED_KINDS.values() for kind in group]
    assert sorted(filtered) == sorted(kinds)
    folder = Path(events.__file__).parents[2]
    template = (folder / "templates/clients/_event_texts.html").read_text()
    icons = dict(re.findall(r'"([\w-]+)": "([\w-]+)"', template.split("TONES")[0]))
    assert set(icons) == kinds
    sprite = (folder / "static/vendor/bootstrap-icons/icons.svg").read_text()
    assert all(f'id="{name}"' in sprite for name in icons.values())


@pytest.mark.one_engine
@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59:59-05:00", "yesterday"])
def test_stated_times_that_not_every_time_zone_has_are_ignored(text: str) -> None:
    assert read_time(text) is None
    assert read_time("2026-01-02 03:04:05 UTC") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("year", [1, 9999])
def test_earlier_imports_with_such_times_do_not_break_the_page(
    browser: FlaskClient, user: User, client: Client, history: History, year: int
) -> None:
    user.timezone = "America/New_York" if year == 1 else "Asia/Tokyo"
    history.consent(
        datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31, 23, tzinfo=UTC), "imported"
    )

    assert browser.get(f"/clients/{client.id}").status_code == 200
