"""Test the limits on a user's stored objects: clients, messages, mailings and imports."""

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Client, ClientImport, Mailing, Message, OutboxLetter, User
from skymailing.models.base import Model
from skymailing.quotas.counting import HOUR
from tests.conftest import SetLimits
from tests.mailings.pages import mailing_fields
from tests.support.factories import MailingFactory, MessageFactory
from tests.support.imports import import_file


def count(session: Session, model: type[Model]) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def test_the_number_of_clients_is_limited(
    session: Session, browser: FlaskClient, set_limits: SetLimits
) -> None:
    set_limits(clients=1)
    pages = [
        browser.post("/clients/new", data={"email": f"{name}@example.com"}) for name in ("anna", "boris")
    ]

    assert "You can have up to 1 clients." in pages[1].text
    assert "boris@example.com" in pages[1].text, "what was typed is kept"
    assert count(session, Client) == 1


def test_the_number_of_messages_including_copies_is_limited(
    session: Session, browser: FlaskClient, user: User, set_limits: SetLimits
) -> None:
    set_limits(messages=2)
    message = MessageFactory.create(owner=user)
    copies = [browser.post(f"/messages/{message.id}/duplicate") for _ in range(2)]
    assert [copy.status_code for copy in copies] == [302, 422]
    fields = {"subject": "Spring", "format": "text", "body": "Hello! {{ unsubscribe_url }}"}
    page = browser.post("/messages/new", data=fields)

    assert "You can have up to 2 messages." in page.text
    assert "Spring" in page.text, "what was typed is kept"
    assert count(session, Message) == 2
    # Existing messages can still be edited.
    assert browser.post(f"/messages/{message.id}/edit", data=fields).status_code == 302


def test_the_number_of_mailings_is_limited(
    session: Session, browser: FlaskClient, user: User, set_limits: SetLimits
) -> None:
    set_limits(mailings=1)
    message = MessageFactory.create(owner=user)
    for name in ("First", "Second"):
        page = browser.post("/mailings/new", data=mailing_fields(message, name=name))

    assert "You can have up to 1 mailings." in page.text
    assert count(session, Mailing) == 1


@pytest.mark.parametrize("limit", ["imports_per_day", "unfinished_imports"])
def test_the_number_of_imports_is_limited(
    session: Session, browser: FlaskClient, set_limits: SetLimits, limit: str
) -> None:
    set_limits(**{limit: 2})

    def upload() -> str:
        return import_file(browser, b"email\nanna@example.com\n").text

    pages = [upload() for _ in range(3)]
    message = "up to 2 files per day" if limit == "imports_per_day" else "Wait until your other imports"
    assert [message in page for page in pages] == [False, False, True]
    assert count(session, ClientImport) == 2
    with time_machine.travel(utcnow() + 24 * HOUR):
        assert "files per day" not in upload()


def test_the_number_of_test_letters_in_an_hour_is_limited(
    session: Session, browser: FlaskClient, user: User, set_limits: SetLimits
) -> None:
    set_limits(test_letters_per_hour=3)
    message = MessageFactory.create(owner=user)
    mailing = MailingFactory.create(owner=user, message=message)
    noon = utcnow().replace(minute=0, second=0, microsecond=0) + HOUR
    with time_machine.travel(noon):
        pages = [
            browser.post(path, follow_redirects=True).text
            for path in [f"/messages/{message.id}/test", f"/mailings/{mailing.id}/test"] * 2
        ]
        pages.append(browser.post(f"/messages/{message.id}/test", follow_redirects=True).text)

    error = "You can send up to 3 test emails per hour."
    assert [error in page for page in pages] == [False, False, False, True, True]
    assert count(session, OutboxLetter) == 3
    with time_machine.travel(noon + HOUR):
        assert error not in browser.post(f"/messages/{message.id}/test", follow_redirects=True).text
