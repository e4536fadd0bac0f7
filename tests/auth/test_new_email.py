"""Change an account's address: this needs the password and a confirmation from the new address."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.models import AuditEntry, OutboxLetter, User
from skymailing.tokens import RESET, account_token
from tests.auth.test_register import read_link
from tests.support.factories import PASSWORD, UserFactory
from tests.support.servers import SmtpServer

# Links and forms do not depend on the database.
pytestmark = pytest.mark.one_engine

Work = Callable[[], None]
PAGE = "/auth/profile/email"
NEW = "new@example.com"
OWN = {"current_password": PASSWORD}


def request_change(browser: FlaskClient, email: str = NEW, password: str = PASSWORD) -> TestResponse:
    return browser.post(PAGE, data={"email": email, "current_password": password})


@pytest.fixture
def link(browser: FlaskClient, smtp: SmtpServer, work: Work) -> str:
    """Return the link that was sent to the new address."""
    assert request_change(browser).status_code == 200
    work()
    (letter,) = smtp.letters
    assert letter.to == NEW
    return read_link(letter)


@pytest.mark.both_engines
def test_the_address_changes_when_the_link_is_opened_and_confirmed(
    app: Flask, user: User, session: Session, link: str, smtp: SmtpServer, work: Work
) -> None:
    old, visitor = user.email, app.test_client()
    assert NEW in visitor.get(link).text
    session.refresh(user)
    assert user.email == old, "opening the link changes nothing"
    assert visitor.post(link, data=OWN).status_code == 302
    session.refresh(user)
    assert user.email == NEW
    for email, code in ((old, 200), (NEW, 302)):
        response = app.test_client().post("/auth/login", data={"email": email, "password": PASSWORD})
        assert response.status_code == code
    work()
    notice = smtp.letters[1]
    assert (notice.to, NEW in notice.text) == (old, True)
    entry = session.scalars(select(AuditEntry)).one()
    assert entry.reason == f"{old} -> {NEW}"


def test_the_link_works_once_within_a_day(visitor: FlaskClient, link: str) -> None:
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        assert visitor.post(link, data=OWN).status_code == 410
    assert visitor.post(link, data=OWN).status_code == 302
    assert visitor.post(link, data=OWN).status_code == 410


def test_the_link_alone_does_not_give_the_address_to_a_strangers_account(
    visitor: FlaskClient, user: User, session: Session, link: str
) -> None:
    """Otherwise, the stranger would have access to an account with an address confirmed by its owner."""
    old = user.email
    for data in ({}, {"current_password": "guessed at"}):
        response = visitor.post(link, data=data)
        assert response.status_code == 200
        assert 'name="current_password"' in response.text
    session.refresh(user)
    assert user.email == old


def test_a_signed_in_owner_only_presses_the_button(
    browser: FlaskClient, user: User, session: Session, link: str
) -> None:
    assert 'name="current_password"' not in browser.get(link).text
    assert browser.post(link).status_code == 302
    session.refresh(user)
    assert user.email == NEW


def test_a_change_needs_the_password(browser: FlaskClient, session: Session) -> None:
    assert "not your current password" in request_change(browser, password="guessed at").text
    assert session.scalar(select(OutboxLetter)) is None


def test_an_address_with_an_account_gets_the_same_response_and_no_letter(
    browser: FlaskClient, session: Session
) -> None:
    other = UserFactory.create()
    with time_machine.travel(utcnow(), tick=False):  # the CSRF token changes with each second
        pages = [request_change(browser, email).text.replace(email, "") for email in (other.email, NEW)]
    assert pages[0] == pages[1]
    assert [letter.to for letter in session.scalars(select(OutboxLetter))] == [NEW]


@pytest.mark.both_engines
def test_an_account_registered_before_the_confirmation_keeps_the_address(
    visitor: FlaskClient, user: User, session: Session, link: str
) -> None:
    UserFactory.create(email=NEW)
    old = user.email
    assert visitor.post(link, data=OWN).status_code == 410
    session.refresh(user)
    assert user.email == old
    templates = session.scalars(select(OutboxLetter.template)).all()
    assert "email-changed" not in templates


def test_a_blocked_account_keeps_its_address(
    visitor: FlaskClient, user: User, session: Session, link: str
) -> None:
    user.blocked_at = utcnow()
    session.flush()
    assert visitor.post(link, data=OWN).status_code == 410


def test_links_sent_to_the_old_address_stop_working(
    app: Flask, visitor: FlaskClient, user: User, session: Session, link: str
) -> None:
    with app.app_context():
        token = account_token(RESET, user)
    visitor.post(link, data=OWN)
    assert visitor.get(f"/auth/reset/{token}").status_code == 410


def test_a_reset_link_cannot_change_the_address(app: Flask, visitor: FlaskClient, user: User) -> None:
    with app.app_context():
        token = account_token(RESET, user)
    assert visitor.post(f"/auth/email/{token}").status_code == 410


@pytest.mark.both_engines
def test_letters_to_new_addresses_are_limited(browser: FlaskClient, session: Session) -> None:
    for number in range(8):
        request_change(browser, f"victim{number}@example.com")
    assert len(session.scalars(select(OutboxLetter)).all()) == 5
