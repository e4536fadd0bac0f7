"""Add senders, confirm them by a link, and keep strangers' mailboxes and freemail addresses out."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.delivery.routing.freemail import find_protected_domain
from skymailing.models import AuditAction, AuditEntry, MailingState, OutboxLetter, Sender, User
from tests.auth.test_register import read_link
from tests.conftest import SetLimits, SignIn
from tests.mailings.pages import get_field_error, get_main_text
from tests.support.factories import MailingFactory, UserFactory
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine

Work = Callable[[], None]
NEWS = {"address": "Hello@Shop.example", "name": "Shop", "reply_to": "owner@gmail.com", "is_default": "y"}


def add(browser: FlaskClient, **changes: str) -> TestResponse:
    return browser.post("/senders/new", data=NEWS | changes)


def read_sender(session: Session, address: str = "Hello@shop.example") -> Sender:
    chosen = select(Sender).where(Sender.address == address).execution_options(populate_existing=True)
    return session.scalars(chosen).one()


@pytest.mark.both_engines
def test_a_sender_is_confirmed_by_its_mailbox(
    app: Flask, session: Session, user: User, browser: FlaskClient, smtp: SmtpServer, work: Work
) -> None:
    assert "No senders yet" in get_main_text(browser.get("/senders/"))
    assert add(browser).status_code == 302
    work()
    (letter,) = smtp.letters
    assert letter.to == "hello@shop.example"
    assert user.email in letter.text
    listed = get_main_text(browser.get("/senders/"))
    for part in (
        "Hello@shop.example",
        "Shop",
        "owner@gmail.com",
        "waiting for confirmation",
        "Emails from shop.example are not signed",
    ):
        assert part in listed
    link, visitor = read_link(letter), app.test_client()
    shown = get_main_text(visitor.get(link))
    assert f"{user.email} wants to send mailings from Hello@shop.example" in shown
    assert visitor.head(link).status_code == 200
    assert not read_sender(session).is_confirmed, "opening the link confirms nothing"
    assert "can now send mailings from Hello@shop.example" in get_main_text(visitor.post(link))
    assert read_sender(session).is_confirmed
    assert "confirmed" in get_main_text(browser.get("/senders/"))
    for method in (visitor.get, visitor.post):
        response = method(link)
        assert (response.status_code, "already been used" in response.text) == (410, True)


def test_a_new_address_needs_a_new_confirmation(
    session: Session, user: User, browser: FlaskClient, smtp: SmtpServer, work: Work
) -> None:
    add(browser)
    work()
    old_link = read_link(smtp.letters[0])
    sender = read_sender(session)
    sender.confirmed_at = utcnow()
    session.flush()
    path = f"/senders/{sender.id}/edit"
    browser.post(path, data=NEWS | {"name": "Our shop", "reply_to": ""})
    assert (read_sender(session).name, read_sender(session).is_confirmed) == ("Our shop", True)
    browser.post(path, data=NEWS | {"address": "sales@shop.example"})
    assert not read_sender(session, "sales@shop.example").is_confirmed
    assert browser.post(old_link).status_code == 410, "the link belongs to the former address"
    work()
    assert [letter.to for letter in smtp.letters] == ["hello@shop.example", "sales@shop.example"]
    assert browser.post(read_link(smtp.letters[1])).headers["Location"] == "/senders/"
    assert read_sender(session, "sales@shop.example").is_confirmed


def test_a_link_expires_and_ends_with_its_sender_and_its_account(
    session: Session, user: User, browser: FlaskClient, visitor: FlaskClient, smtp: SmtpServer, work: Work
) -> None:
    add(browser)
    work()
    link = read_link(smtp.letters[0])
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        assert "expired" in visitor.post(link).text
    user.blocked_at = utcnow()
    session.flush()
    assert visitor.post(link).status_code == 410
    user.blocked_at = None
    session.flush()
    assert browser.post(f"/senders/{read_sender(session).id}/delete").status_code == 302
    assert visitor.get(link).status_code == 410
    assert session.scalars(select(AuditEntry.action)).all() == [AuditAction.SENDER_DELETED]


def test_the_accounts_own_address_needs_no_letter(session: Session, user: User, browser: FlaskClient) -> None:
    add(browser, address=user.email)
    assert read_sender(session, user.email).is_confirmed
    assert session.scalars(select(OutboxLetter)).all() == []


def test_no_one_can_flood_a_mailbox(
    session: Session, user: User, browser: FlaskClient, sign_in: SignIn, set_limits: SetLimits
) -> None:
    add(browser)
    path = f"/senders/{read_sender(session).id}/confirmation"
    for _ in range(2):
        assert "We sent a confirmation link" in browser.post(path, follow_redirects=True).text
    error = "Up to 3 confirmation links per day"
    assert error in browser.post(path, follow_redirects=True).text
    other = sign_in(UserFactory.create())
    assert error in add(other, address="HELLO@shop.example").text, "the limit is for all accounts together"
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        other = sign_in(UserFactory.create())
        for number in range(20):
            assert add(other, address=f"a{number}@shop.example", is_default="").status_code == 302
        assert "up to 20 confirmation links per day" in add(other, address="z@shop.example").text
    assert len(session.scalars(select(OutboxLetter)).all()) == 23


def test_invalid_senders_are_rejected_at_their_field(
    session: Session, browser: FlaskClient, set_limits: SetLimits
) -> None:
    for field, value, text in (
        ("address", "", "Enter an email address."),
        ("address", "news", "has an @ sign"),
        ("address", "почта@пример.рф", "Use only Latin letters"),
        ("address", "shop@gmail.com", "If we send emails from gmail.com, they will be rejected"),
        ("reply_to", "a b@shop.example", "cannot contain spaces"),
        ("name", "Shop\nBcc: x@example.com", "one line"),
    ):
        assert text in get_field_error(add(browser, **{field: value}), field), value
    assert session.scalars(select(Sender)).all() == []
    add(browser)
    assert "already have a sender" in get_field_error(add(browser, address="HELLO@shop.example"), "address")
    set_limits(senders=1)
    assert "up to 1 senders" in add(browser, address="b@shop.example").text


def test_one_sender_is_for_new_mailings(session: Session, browser: FlaskClient) -> None:
    assert "checked" in browser.get("/senders/new").text
    add(browser)
    add(browser, address="b@shop.example")
    assert (read_sender(session).is_default, read_sender(session, "b@shop.example").is_default) == (
        False,
        True,
    )


def test_a_sender_of_an_unfinished_mailing_is_not_deleted(
    session: Session, user: User, browser: FlaskClient
) -> None:
    add(browser)
    sender = read_sender(session)
    mailing = MailingFactory.create(
        owner=user, sender_id=sender.id, state=MailingState.PAUSED, name="Autumn sale"
    )
    path = f"/senders/{sender.id}/delete"
    assert "Autumn sale" in browser.get(path).text
    assert browser.post(path).status_code == 409
    mailing.state = MailingState.CANCELLED
    session.flush()
    assert browser.post(path).status_code == 302
    session.refresh(mailing)
    assert mailing.sender_id is None
    assert session.scalars(select(Sender)).all() == []


@pytest.mark.parametrize(
    ("address", "server", "fallback", "refused"),
    [
        ("a@gmail.com", "smtp.gmail.com", None, ""),
        ("a@Gmail.com", "mail.example.com", None, "gmail.com"),
        ("a@gmail.com", "notgmail.com", None, "gmail.com"),
        ("a@yandex.ru", "SMTP.yandex.ru.", None, ""),
        ("a@ya.ru", "smtp.yandex.ru", "mail.example.com", "ya.ru"),
        ("a@bk.ru", "smtp.mail.ru", "smtp2.mail.ru", ""),
        ("a@mail.ru", "smtp.gmail.com", None, "mail.ru"),
        ("a@shop.example", "mail.example.com", None, ""),
    ],
)
def test_freemail_addresses_are_only_for_their_own_servers(
    app: Flask, monkeypatch: pytest.MonkeyPatch, address: str, server: str, fallback: str | None, refused: str
) -> None:
    monkeypatch.setitem(app.config, "MAIL_SERVER", server)
    monkeypatch.setitem(app.config, "MAIL_FALLBACK", fallback and SimpleNamespace(server=fallback))
    with app.app_context():
        assert find_protected_domain(address) == refused
