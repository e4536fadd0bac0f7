"""Test notes about clients: adding and deleting them, and what happens to them with their clients."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients import notes
from skymailing.clients.bulk import sizes
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import BulkAction, Client, ClientNote, User
from tests.clients.pages import find_errors, find_undo_url
from tests.clients.test_deletion import delete
from tests.clients.test_merging import anna, duplicate, merge
from tests.clients.test_timeline import read_events
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import ClientFactory, UserFactory, create_clients

__all__ = ["anna", "duplicate"]  # fixtures


def add(session: Session, client: Client, text: str) -> ClientNote:
    note = ClientNote(owner_id=client.owner_id, client_id=client.id, text=text)
    session.add(note)
    session.flush()
    return note


def read_notes(session: Session) -> dict[str, list[str]]:
    """Return the texts of all notes, by the address of the client."""
    session.expire_all()
    found: dict[str, list[str]] = {}
    rows = select(Client.email, ClientNote.text).join(ClientNote, ClientNote.client_id == Client.id)
    for email, text in session.execute(rows.order_by(ClientNote.id)).tuples():
        found.setdefault(email, []).append(text)
    return found


@pytest.mark.one_engine
def test_notes_are_added_and_shown(browser: FlaskClient, session: Session, anna: Client) -> None:
    url = f"/clients/{anna.id}/notes"
    response = browser.post(url, data={"text": "  Called <b>\r\nin May\0 "})
    assert response.location == f"/clients/{anna.id}#timeline"
    assert read_notes(session) == {anna.email: ["Called <b>\nin May"]}
    assert read_events(browser, anna, "?show=notes")[0].startswith("Called <b> in May Delete")


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "Enter a note."),
        (" \0", "Enter a note."),
        ("x" * 1_001, "A note can have up to 1000 characters."),
    ],
)
def test_a_note_that_cannot_be_saved_is_shown_again(
    browser: FlaskClient, session: Session, anna: Client, text: str, error: str
) -> None:
    response = browser.post(f"/clients/{anna.id}/notes", data={"text": text})
    assert find_errors(response.text) == {"note": error}
    field = soup(response).select_one("#note")
    assert field
    assert field.text.strip() == text.strip()
    assert read_notes(session) == {}


@pytest.mark.one_engine
def test_a_client_can_have_many_notes_but_not_any_number(
    browser: FlaskClient, session: Session, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MAX_NOTES", 1)
    browser.post(f"/clients/{anna.id}/notes", data={"text": "one"})
    page = browser.post(f"/clients/{anna.id}/notes", data={"text": "two"})
    assert "A client can have up to 1 notes." in get_main_text(page)
    assert read_notes(session) == {anna.email: ["one"]}


@pytest.mark.one_engine
def test_a_deleted_note_can_be_restored_for_an_hour(
    app: Flask, browser: FlaskClient, session: Session, anna: Client
) -> None:
    note = add(session, anna, "Called")
    url = f"/clients/notes/{note.id}"
    undo_url = find_undo_url(browser.post(f"{url}/delete", follow_redirects=True).text)
    assert read_events(browser, anna, "?show=notes") == []
    browser.post(undo_url)
    assert len(read_events(browser, anna, "?show=notes")) == 1

    browser.post(f"{url}/delete")
    with app.app_context(), time_machine.travel(utcnow() + timedelta(minutes=59)):
        notes.delete_expired(utcnow())
        db.session.commit()
    assert read_notes(session) == {anna.email: ["Called"]}
    with app.app_context(), time_machine.travel(utcnow() + timedelta(minutes=61)):
        notes.delete_expired(utcnow())
        db.session.commit()
    assert read_notes(session) == {}
    assert browser.post(undo_url).status_code == 404


@pytest.mark.one_engine
def test_notes_belong_to_their_owner(browser: FlaskClient, session: Session) -> None:
    stranger: Client = ClientFactory.create(owner=UserFactory.create())
    note = add(session, stranger, "secret")
    for url in (f"{stranger.id}/notes", f"notes/{note.id}/delete", f"notes/{note.id}/undo"):
        assert browser.post(f"/clients/{url}", data={"text": "x"}).status_code == 404
    assert read_notes(session) == {stranger.email: ["secret"]}
    session.refresh(note)
    assert note.deleted_at is None


def test_notes_are_deleted_and_restored_with_their_client(
    browser: FlaskClient, session: Session, anna: Client
) -> None:
    first = add(session, anna, "first")
    first.created_at = created_at = utcnow() - timedelta(days=3)
    gone = add(session, anna, "deleted before")
    gone.deleted_at = utcnow()
    session.flush()
    url = delete(browser, anna)
    assert read_notes(session) == {}
    browser.post(url)
    assert read_notes(session) == {"anna@work.example": ["first"]}
    assert session.scalars(select(ClientNote.created_at)).one() == created_at


def test_a_client_added_again_gets_the_notes_of_the_restored_one(
    browser: FlaskClient, session: Session, user: User, anna: Client
) -> None:
    add(session, anna, "old")
    email = anna.email
    url = delete(browser, anna)
    session.expunge(anna)  # SQLite gives her ID to the new client
    add(session, ClientFactory.create(owner=user, email=email), "new")
    browser.post(url)
    assert {key: sorted(texts) for key, texts in read_notes(session).items()} == {email: ["new", "old"]}


def test_merging_moves_notes_and_its_undo_moves_them_back(
    browser: FlaskClient, session: Session, anna: Client, duplicate: Client
) -> None:
    add(session, anna, "work")
    add(session, duplicate, "home")
    url = merge(browser, anna, duplicate)
    assert read_notes(session) == {anna.email: ["work", "home"]}
    browser.post(url)
    assert read_notes(session) == {"anna@work.example": ["work"], "anna@home.example": ["home"]}


@pytest.mark.one_engine
def test_notes_count_towards_the_size_of_a_deletion(
    app: Flask, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "MAX_CHARACTERS", 1_500)
    clients = create_clients(user, 3)
    for client in clients:
        add(session, client, "x" * 1_000)
    with app.app_context():
        assert sizes.count_fitting(BulkAction.DELETE, [client.id for client in clients]) == 1
