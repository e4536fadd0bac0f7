"""Test test letters through owners' mail servers: their route and envelope, and why one was not sent."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.models import (
    BreakerState,
    LetterState,
    OutboxLetter,
    Route,
    SendingDomain,
    User,
)
from skymailing.outbox import tasks as outbox
from tests.faults.sink import Sink, Stage
from tests.mailings.pages import get_main_text
from tests.servers.conftest import MakeSender, MakeServer
from tests.support.factories import MailingFactory
from tests.support.servers import SmtpServer as Installation

Work = Callable[[], None]


@pytest.fixture
def envelopes(sink: Sink) -> list[str]:
    """Return the MAIL commands that the owner's server receives."""
    received: list[str] = []
    sink.script = lambda turn: received.append(turn.line) if turn.stage is Stage.MAIL else None
    return received


@pytest.mark.one_engine
def test_test_letters_are_sent_through_their_senders_server_but_account_letters_are_not(
    session: Session,
    user: User,
    browser: FlaskClient,
    sink: Sink,
    envelopes: list[str],
    smtp: Installation,
    make_server: MakeServer,
    make_sender: MakeSender,
    work: Work,
) -> None:
    server = make_server(user, sink.port)
    mailing = MailingFactory.create(owner=user, sender_id=make_sender(user, server).id, sender_name="Sale")
    browser.post(f"/mailings/{mailing.id}/test")
    browser.post("/senders/new", data={"address": "other@shop.example", "name": ""})
    work()
    assert [str(letter.parsed["From"]) for letter in sink.letters] == ["Sale <news@shop.example>"]
    assert envelopes == ["MAIL FROM:<news@shop.example>"]
    assert [str(letter.parsed["From"]) for letter in smtp.letters] == ["letters@sky.example"]


def test_the_page_shows_why_a_test_letter_was_not_sent_and_account_letters_do_not_wait(
    session: Session,
    user: User,
    browser: FlaskClient,
    sink: Sink,
    smtp: Installation,
    make_server: MakeServer,
    make_sender: MakeSender,
    work: Work,
) -> None:
    server = make_server(user, sink.port)
    mailing = MailingFactory.create(owner=user, sender_id=make_sender(user, server).id)
    sink.script = lambda turn: turn.say("550 5.7.1 not today") if turn.stage is Stage.RCPT else None
    browser.post(f"/mailings/{mailing.id}/test")
    browser.post("/senders/new", data={"address": "third@shop.example", "name": ""})
    work()
    assert (len(sink.letters), len(smtp.letters)) == (0, 1)
    refused = session.scalars(select(OutboxLetter).where(OutboxLetter.state == LetterState.FAILED)).one()
    assert refused.last_error == "550 5.7.1 not today"
    for path in (f"/mailings/{mailing.id}", f"/messages/{mailing.message_id}"):
        page = get_main_text(browser.get(path))
        assert "The test email could not be sent. Reason: 550 5.7.1 not today" in " ".join(page.split())

    # The server cannot be reached, and no other server takes its place.
    server.port = 1
    session.flush()
    browser.post(f"/mailings/{mailing.id}/test")
    work()
    assert session.get_one(Route, server.route).state is BreakerState.OPEN
    assert "We will try again" in get_main_text(browser.get(f"/mailings/{mailing.id}"))
    assert (len(sink.letters), len(smtp.letters)) == (0, 1)


@pytest.mark.one_engine
def test_the_reason_is_in_the_readers_language(
    session: Session,
    user: User,
    browser: FlaskClient,
    sink: Sink,
    make_server: MakeServer,
    make_sender: MakeSender,
    work: Work,
) -> None:
    sender = make_sender(user, make_server(user, sink.port))
    mailing = MailingFactory.create(owner=user, sender_id=sender.id)
    browser.post(f"/mailings/{mailing.id}/test")
    sender.server_id = make_server(user, sink.port).id
    user.locale = "ru"
    session.flush()
    work()
    page = get_main_text(browser.get(f"/mailings/{mailing.id}"))
    assert "Теперь у отправителя другой почтовый сервер" in " ".join(page.split())
    assert sink.letters == []


@pytest.mark.one_engine
def test_account_letters_do_not_wait_for_many_servers_that_cannot_be_reached(
    app: Flask,
    session: Session,
    user: User,
    browser: FlaskClient,
    smtp: Installation,
    make_server: MakeServer,
    make_sender: MakeSender,
) -> None:
    for name in ("first", "second"):
        sender = make_sender(user, make_server(user, 1), f"{name}@shop.example")
        browser.post(f"/mailings/{MailingFactory.create(owner=user, sender_id=sender.id).id}/test")

    def count_tried() -> int:
        session.expire_all()
        return sum(bool(letter.last_error) for letter in session.scalars(select(OutboxLetter)))

    with app.app_context():
        for tried in (1, 2):
            outbox.send_due_letters(utcnow(), lambda _elapsed: True)
            assert count_tried() == tried
        close_dispatcher()


@pytest.mark.one_engine
def test_the_test_email_of_a_domain_is_sent_through_its_senders_server(
    app: Flask,
    session: Session,
    user: User,
    browser: FlaskClient,
    sink: Sink,
    envelopes: list[str],
    smtp: Installation,
    make_server: MakeServer,
    make_sender: MakeSender,
    monkeypatch: pytest.MonkeyPatch,
    work: Work,
) -> None:
    monkeypatch.setitem(app.config, "UNSUBSCRIBE_MAILBOX", "returns@sky.example")
    make_sender(user, make_server(user, sink.port))
    domain = SendingDomain(owner_id=user.id, name="shop.example", token="x", verified_at=utcnow())
    session.add(domain)
    session.flush()
    browser.post(f"/domains/{domain.id}/probe")
    work()
    assert [letter.to for letter in sink.letters] == ["returns@sky.example"]
    assert envelopes == ["MAIL FROM:<news@shop.example>"]
    assert smtp.letters == []
