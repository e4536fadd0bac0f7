"""Test the listener for returned mail over LMTP, with a real client."""

import smtplib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.commands.bounces import make_store
from skymailing.delivery.rendering.message_ids import RunIdentity, message_id_key
from skymailing.extensions import db
from skymailing.models import ReturnedLetter, User
from skymailing.returns import lmtp
from tests.returns.letters import make_status, quote_headers
from tests.returns.scenes import USER_UNKNOWN, Desk, run_listener

pytestmark = pytest.mark.one_engine


@contextmanager
def connect(app: Flask) -> Iterator[smtplib.LMTP]:
    """Yield a client of a listener that stores letters with the app."""
    with run_listener(make_store(app)) as port, smtplib.LMTP("127.0.0.1", port, timeout=20) as client:
        yield client


def send(client: smtplib.LMTP, raw: bytes) -> dict[str, tuple[int, bytes]]:
    """Send a letter without a sender, as bounces have none; return the recipients that were refused."""
    return client.sendmail("", ["letters@sky.example"], raw)


def test_a_letter_is_committed_before_the_reply(app: Flask, session: Session, user: User) -> None:
    desk = Desk(app, session, user)
    first, second = desk.send(), desk.send()
    with connect(app) as client:
        assert send(client, desk.bounce(first)) == {}
        session.expire_all()
        assert desk.suppressions() == {first.email_key: "bounced"}
        # The letter has two recipients, and a line that is longer than a command's may be.
        client.mail("")
        assert {client.rcpt(f"letters{number}@sky.example")[0] for number in range(2)} == {250}
        assert client.data(desk.bounce(second) + b"\r\n" + b"x" * 20_000)[0] == 250
        assert client.getreply()[0] == 250  # one reply for each recipient
        assert send(client, desk.bounce(first)) == {}
        with pytest.raises(smtplib.SMTPSenderRefused) as raised:
            send(client, b"x" * 70 + (b"y" * 900 + b"\r\n") * 13_000)
        assert raised.value.smtp_code == 552
        assert send(client, b"..\r\nSubject: x\r\n\r\n") == {}
    session.expire_all()
    assert set(desk.suppressions()) == {first.email_key, second.email_key}
    assert session.scalar(select(func.count()).select_from(ReturnedLetter)) == 3


def test_letters_that_arrive_while_others_are_stored_are_stored_together(
    app: Flask, session: Session, user: User
) -> None:
    desk = Desk(app, session, user)
    letters = [desk.bounce(desk.send()) for _ in range(6)]
    store: lmtp.Store = make_store(app)
    batches: list[int] = []

    def store_slowly(some: Sequence[lmtp.IncomingLetter]) -> list[bool]:
        batches.append(len(some))
        time.sleep(0.5)
        return store(some)

    def deliver(port: int, raw: bytes) -> None:
        with smtplib.LMTP("127.0.0.1", port, timeout=20) as client:
            assert send(client, raw) == {}

    with run_listener(store_slowly) as port, ThreadPoolExecutor(6) as pool:
        list(pool.map(deliver, [port] * 6, letters))

    assert sum(batches) == 6
    assert len(batches) < 4
    session.expire_all()
    assert len(desk.suppressions()) == 6


def test_the_recipient_shows_which_letter_a_report_is_about(app: Flask, session: Session, user: User) -> None:
    desk = Desk(app, session, user)
    delivery = desk.send()
    with app.app_context():
        identity = RunIdentity(delivery.run.uuid, message_id_key())
    path = identity.make_return_path(delivery.id, "bounces@sky.example")
    quoted = quote_headers("<unknown@example.org>", "<https://example.org>")
    report = make_status(delivery.email, "5.1.1", USER_UNKNOWN, quoted=quoted)
    with connect(app) as client:
        assert client.sendmail("", ["letters@sky.example"], report + b"1\r\n") == {}
        session.expire_all()
        assert desk.suppressions() == {}, "only the address matches"
        assert client.sendmail("", [path], report) == {}
    session.expire_all()
    assert desk.suppressions() == {delivery.email_key: "bounced"}


def test_the_mail_server_keeps_a_letter_that_cannot_be_stored(environment: dict[str, str]) -> None:
    without_database = environment | {"DATABASE_URL": "postgresql://sky:pw@127.0.0.1:1/sky"}
    app = create_app(TestingConfig(without_database))
    with connect(app) as client, pytest.raises(smtplib.SMTPDataError) as raised:
        send(client, b"Subject: x\r\n\r\n")
    assert raised.value.smtp_code == 451
    with app.app_context():
        db.engine.dispose()
