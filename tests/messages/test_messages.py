"""Test creating, finding, copying and deleting messages."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.messages import services
from skymailing.messages.starters import KEYS, read_starter
from skymailing.models import Message, MessageFormat, User
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, UserFactory
from tests.support.servers import SmtpServer
from tests.support.starters import PICTURES

# Forms and pages do not depend on the database.
pytestmark = pytest.mark.one_engine

VALID = {"subject": "Hi, {{ name }}", "format": "markdown", "body": "Hello, **{{ name }}**"}


@pytest.mark.both_engines
def test_a_new_message_is_saved_and_shown(browser: FlaskClient, session: Session, user: User) -> None:
    response = browser.post("/messages/new", data=VALID)

    message = session.scalars(select(Message)).one()
    assert response.status_code == 302
    assert response.location == f"/messages/{message.id}"
    assert (message.owner_id, message.subject, message.format, message.body) == (
        user.id,
        "Hi, {{ name }}",
        MessageFormat.MARKDOWN,
        "Hello, **{{ name }}**",
    )
    assert browser.get(response.location).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"subject": ""}, "Enter a subject."),
        ({"subject": "x" * 501}, "500"),
        ({"body": ""}, "Enter the text."),
        ({"format": "word"}, "Not a valid choice"),
        ({"body": "one\r\ntwo\r\n{% if name %}"}, "Line 3: {% if name %} is not closed by {% endif %}."),
        ({"body": "one\n{{ name | shout }}"}, "Line 2: There is no filter “shout”: {{ name | shout }}."),
        ({"subject": "{{ client.tags | upcase }}"}, "Tags cannot be used in emails."),
        ({"body": '{% if client.tags contains "vip" %}x{% endif %}'}, "Tags cannot be used in emails."),
        ({"subject": "Hi {{ name"}, "Line 1: {{ is not closed by }}."),
    ],
)
def test_errors_are_shown_without_losing_typed_text(
    browser: FlaskClient, session: Session, changes: dict[str, str], error: str
) -> None:
    response = browser.post("/messages/new", data={**VALID, **changes, "extra": "ignored"})

    assert response.status_code == 200
    assert error in response.text
    for name in {"subject", "body"} - set(changes):
        assert VALID[name] in response.text
    assert session.scalars(select(Message)).all() == []


@pytest.mark.both_engines
def test_control_characters_do_not_reach_the_database(browser: FlaskClient, session: Session) -> None:
    browser.post("/messages/new", data={**VALID, "subject": "a\x00b\r\nBcc: c", "body": "a\x00\r\nb\x07"})

    message = session.scalars(select(Message)).one()
    assert message.subject == "ab Bcc: c"
    assert message.body == "a\nb"


def test_a_message_can_be_edited(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user)

    assert message.subject in browser.get(f"/messages/{message.id}/edit").text
    browser.post(f"/messages/{message.id}/edit", data={**VALID, "format": "text"})

    session.refresh(message)
    assert (message.subject, message.format) == (VALID["subject"], MessageFormat.TEXT)


def test_an_invalid_edit_does_not_change_the_message(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user, body="old")

    response = browser.post(f"/messages/{message.id}/edit", data={**VALID, "body": "new {{ broken"})

    assert "new {{ broken" in response.text
    session.refresh(message)
    assert message.body == "old"


@pytest.mark.both_engines
def test_the_list_can_be_searched_and_sorted(browser: FlaskClient, user: User) -> None:
    MessageFactory.create(owner=user, subject="Apples", body="red")
    MessageFactory.create(owner=user, subject="Pears", body="green")
    MessageFactory.create(subject="Other owner's")

    ascending = browser.get("/messages/?sort=subject").text
    assert ascending.index("Apples") < ascending.index("Pears")
    assert "Other owner" not in ascending
    descending = browser.get("/messages/?sort=-subject").text
    assert descending.index("Pears") < descending.index("Apples")
    matches = browser.get("/messages/?q=GREEN").text
    assert "Pears" in matches
    assert "Apples" not in matches
    assert "Nothing found" in browser.get("/messages/?q=%00nothing").text


@pytest.mark.both_engines
def test_a_long_list_is_paginated(browser: FlaskClient, user: User) -> None:
    for number in range(51):
        MessageFactory.create(owner=user, subject=f"Number {number:02}")

    page = browser.get("/messages/?sort=subject").text

    assert "Number 49" in page
    assert "Number 50" not in page
    assert "Next page" in page


def test_an_empty_list_and_a_new_message_suggest_what_to_do(browser: FlaskClient) -> None:
    assert "No messages yet" in browser.get("/messages/").text
    page = browser.get("/messages/new").text
    assert "/messages/new?starter=newsletter" in page
    assert "/messages/templates" in page


@pytest.mark.parametrize(
    ("locale", "link_text", "news"),
    [("en", "Unsubscribe", "What happened in May"), ("ru", "Отписаться", "Что было в мае")],
)
def test_a_starter_is_in_the_users_language(
    sign_in: Callable[[User], FlaskClient], session: Session, locale: str, link_text: str, news: str
) -> None:
    browser = sign_in(UserFactory.create(locale=locale))

    assert link_text in browser.get("/messages/new?starter=letter").text
    assert news in browser.get("/messages/new?starter=newsletter").text
    assert browser.get("/messages/new?starter=nonsense").status_code == 200


@pytest.mark.parametrize("locale", ["en", "ru"])
@pytest.mark.parametrize("starter", KEYS)
def test_every_starter_can_be_saved_unchanged(browser: FlaskClient, starter: str, locale: str) -> None:
    response = browser.post("/messages/new", data=read_starter(starter, locale, PICTURES))

    assert response.status_code == 302


@pytest.mark.both_engines
def test_the_editor_lists_only_the_owners_attributes(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user, attributes={"city": "Rome", "Любимый цвет": "синий", "Город": "Рим"})
    ClientFactory.create(attributes={"secret": "of another owner"})

    page = browser.get("/messages/new").text

    assert "{{ client.city }}" in page
    assert "{{ client.Город }}" in page
    assert "{{ client[&#34;Любимый цвет&#34;] }}" in page
    assert "secret" not in page


def test_a_copy_is_opened_in_the_editor(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="Original")

    response = browser.post(f"/messages/{message.id}/duplicate")

    copy = session.scalars(select(Message).where(Message.id != message.id)).one()
    assert response.location == f"/messages/{copy.id}/edit"
    assert (copy.subject, copy.body) == (message.subject, message.body)


def test_a_message_is_deleted_after_confirmation(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="Old news")

    assert "Old news" in browser.get(f"/messages/{message.id}/delete").text
    assert session.scalars(select(Message)).all() != []
    assert browser.post(f"/messages/{message.id}/delete").location == "/messages/"
    assert session.scalars(select(Message)).all() == []


@pytest.mark.both_engines
def test_a_message_used_in_mailings_cannot_be_deleted(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    MailingFactory.create(owner=user, message=message, name="Autumn")
    MailingFactory.create(owner=user, message=message, name="Winter")

    page = browser.get(f"/messages/{message.id}/delete").text
    response = browser.post(f"/messages/{message.id}/delete")

    assert "Autumn" in page
    assert response.status_code == 409
    assert "“Winter”, “Autumn”" in response.text
    assert session.scalars(select(Message)).all() == [message]


@pytest.mark.only_on("postgresql", reason="on SQLite, no other transaction can write during a deletion")
def test_a_mailing_created_during_a_deletion_prevents_it(app: Flask, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user)
    with app.app_context():

        def commit_mailing(*_arguments: object) -> None:
            MailingFactory.create(owner=user, message=message, name="Just now")

        # Runs on another connection, after the check and before the deletion.
        event.listen(db.session, "before_flush", commit_mailing, once=True)
        with pytest.raises(services.MessageInUse) as raised:
            services.delete_message(db.session.get_one(Message, message.id), current_actor(), utcnow())
        db.session.rollback()

    assert raised.value.names == ["Just now"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/edit"),
        ("POST", "/edit"),
        ("GET", "/delete"),
        ("POST", "/delete"),
        ("GET", "/preview"),
        ("POST", "/test"),
        ("POST", "/duplicate"),
    ],
)
def test_another_owners_message_is_not_found(
    browser: FlaskClient, session: Session, method: str, path: str
) -> None:
    message = MessageFactory.create()

    response = browser.open(f"/messages/{message.id}{path}", method=method, data=VALID)

    assert response.status_code == 404
    assert session.scalars(select(Message)).all() == [message]


def test_visitors_are_redirected_to_sign_in(visitor: FlaskClient, session: Session) -> None:
    message = MessageFactory.create()

    for path in ("", "new", "preview", f"{message.id}", f"{message.id}/preview", f"{message.id}/edit"):
        response = visitor.get(f"/messages/{path}")
        assert response.status_code == 302
        assert "/auth/login" in response.location


def test_a_test_letter_has_the_chosen_clients_values(
    browser: FlaskClient, user: User, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    message = MessageFactory.create(owner=user, subject="Hi, {{ name }}", body="{{ unsubscribe_url }}")
    client = ClientFactory.create(owner=user, full_name="Ann")

    response = browser.post(f"/messages/{message.id}/test", data={"client": client.id})
    work()

    assert response.location == f"/messages/{message.id}?client={client.id}"
    [letter] = smtp.letters
    assert letter.recipients == [user.email]
    assert letter.parsed["Subject"] == "[Test] Hi, Ann"


def test_a_test_letter_cannot_use_another_owners_client(
    browser: FlaskClient, user: User, smtp: SmtpServer
) -> None:
    message = MessageFactory.create(owner=user)
    stranger = ClientFactory.create()

    assert browser.post(f"/messages/{message.id}/test", data={"client": stranger.id}).status_code == 404


@pytest.mark.both_engines
def test_all_clients_attributes_are_offered_as_placeholders(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user, attributes={"birthday": "1990-05-17"})
    ClientFactory.create(owner=user, attributes={"city": "Омск"})
    ClientFactory.create(owner=user, attributes={"city": "Тверь", "card": "7"})

    page = browser.get("/messages/new").text

    for name in ("city", "birthday", "card"):
        assert f"{{{{ client.{name} }}}}" in page
    assert page.index("{{ client.city }}") < page.index("{{ client.card }}")
