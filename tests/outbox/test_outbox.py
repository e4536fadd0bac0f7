"""Test that account letters are sent once, and retried after mail server failures."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.clock import utcnow
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.extensions import db
from skymailing.models import LetterState, OutboxLetter, User
from skymailing.outbox import services as outbox
from skymailing.outbox import tasks
from tests.outbox.conftest import MailSettings, Send, add_letter
from tests.support.factories import ClientFactory, MessageFactory, UserFactory
from tests.support.ports import find_free_port
from tests.support.servers import SmtpServer


def test_a_letter_has_a_text_part_and_an_html_part(
    send: Send, letter: OutboxLetter, smtp: SmtpServer, session: Session
) -> None:
    assert send() == 1
    session.refresh(letter)
    assert letter.state == LetterState.SENT
    assert letter.sent_at is not None
    (arrived,) = smtp.letters
    assert (arrived.sender, arrived.to) == ("letters@sky.example", letter.to)
    assert arrived.parsed["From"] == "letters@sky.example"
    assert arrived.parsed["To"] == letter.to
    assert arrived.parsed["Auto-Submitted"] == "auto-generated"
    assert arrived.parsed["Message-ID"].endswith("@sky.example>")
    assert "http://sky.example/auth/reset" in arrived.text
    assert "http://sky.example/auth/reset" in arrived.html


def test_a_letter_is_sent_once(send: Send, letter: OutboxLetter, smtp: SmtpServer) -> None:
    assert send() == 1
    assert send(timedelta(days=1)) == 0
    assert len(smtp.letters) == 1


def test_a_rolled_back_letter_is_not_sent(app: Flask, send: Send, user: User, smtp: SmtpServer) -> None:
    with app.app_context():
        outbox.add_letter(db.session.get_one(User, user.id), "password-changed")
        db.session.rollback()
    assert send() == 0


def test_many_letters_share_one_connection(
    app: Flask, send: Send, session: Session, smtp: SmtpServer
) -> None:
    for _ in range(25):
        add_letter(app, session, UserFactory.create(), "password-changed")
    assert send() == 25
    assert set(smtp.per_address().values()) == {1}


def test_an_unreachable_server_postpones_letters(
    send: Send, letter: OutboxLetter, settings: MailSettings, smtp: SmtpServer, session: Session
) -> None:
    working_port = settings.port
    settings.port = find_free_port()
    assert send() == 0
    session.refresh(letter)
    assert (letter.state, letter.attempts) == (LetterState.PENDING, 0)
    assert "refused" in letter.last_error
    assert letter.due_at > utcnow()
    settings.port = working_port
    assert send() == 0, "not due yet"
    assert send(timedelta(minutes=2)) == 1
    assert len(smtp.letters) == 1


def test_a_temporary_refusal_is_retried_with_growing_delays(
    send: Send, letter: OutboxLetter, smtp: SmtpServer, session: Session
) -> None:
    smtp.rcpt_replies[letter.to] = "451 4.7.1 greylisted"
    waits: list[timedelta] = []
    for _ in range(4):
        now = utcnow() + sum(waits, timedelta())
        with time_machine.travel(now, tick=False):
            send()
            session.refresh(letter)
            waits.append(letter.due_at - now)
    assert [round(wait.total_seconds() / 60) for wait in waits] == [1, 5, 15, 30]
    assert letter.last_error == "451 4.7.1 greylisted"
    smtp.rcpt_replies.clear()
    assert send(timedelta(hours=1)) == 1


def test_the_reply_of_a_permanent_refusal_is_stored(
    send: Send, letter: OutboxLetter, smtp: SmtpServer, session: Session
) -> None:
    smtp.rcpt_replies[letter.to] = "550 5.1.1 no such user"
    assert send() == 0
    session.refresh(letter)
    assert (letter.state, letter.last_error) == (LetterState.FAILED, "550 5.1.1 no such user")


def test_a_refused_letter_does_not_delay_others(
    app: Flask, send: Send, letter: OutboxLetter, smtp: SmtpServer, session: Session
) -> None:
    smtp.data_replies[letter.to] = "554 5.7.1 rejected"
    other = add_letter(app, session, UserFactory.create(), "password-changed")
    assert send() == 1
    assert smtp.letters[0].to == other.to


def test_a_letter_fails_after_three_days(
    send: Send, letter: OutboxLetter, smtp: SmtpServer, session: Session
) -> None:
    assert send(timedelta(days=3, minutes=1)) == 0
    session.refresh(letter)
    assert letter.state == LetterState.FAILED
    assert smtp.letters == []


def test_a_dead_workers_letter_is_sent_after_its_lease_has_expired(
    send: Send, letter: OutboxLetter, smtp: SmtpServer, session: Session
) -> None:
    letter.state = LetterState.SENDING
    letter.lease_until = utcnow() + timedelta(minutes=5)
    session.flush()
    assert send() == 0
    assert send(timedelta(minutes=6)) == 1


def test_a_letter_is_sent_even_without_a_job(
    app: Flask, send: Send, user: User, smtp: SmtpServer, session: Session
) -> None:
    add_letter(app, session, user, "reset-password")
    assert send() == 1


def test_a_letter_is_in_the_users_language(
    app: Flask, send: Send, session: Session, smtp: SmtpServer
) -> None:
    user = UserFactory.create(locale="ru")
    add_letter(app, session, user, "password-changed")
    assert send() == 1
    assert '<html lang="ru">' in smtp.letters[0].html


def test_a_test_letter_contains_the_message(
    app: Flask, send: Send, user: User, smtp: SmtpServer, session: Session
) -> None:
    message = MessageFactory.create(owner=user, subject="Hello, {{ name }}")
    client = ClientFactory.create(owner=user, full_name="Anna")
    add_letter(app, session, user, "test-letter", message_id=message.id, client_id=client.id)
    assert send() == 1
    assert smtp.letters[0].to == user.email
    assert "Hello, Anna" in str(smtp.letters[0].parsed["Subject"])


def test_test_letters_are_sent_after_all_others(
    app: Flask, send: Send, user: User, smtp: SmtpServer, session: Session
) -> None:
    message = MessageFactory.create(owner=user, subject="A test")
    for _ in range(25):
        add_letter(app, session, user, "test-letter", message_id=message.id, client_id=None)
    for _ in range(3):
        add_letter(app, session, UserFactory.create(), "password-changed")

    assert send() == 28
    are_tests = [str(letter.parsed["Subject"]) == "[Test] A test" for letter in smtp.letters]
    assert are_tests == [False] * 3 + [True] * 25


@pytest.mark.parametrize("kind", ["deleted", "another user's"])
def test_a_test_letter_without_its_message_fails(
    app: Flask, send: Send, user: User, smtp: SmtpServer, session: Session, kind: str
) -> None:
    message_id = 999 if kind == "deleted" else MessageFactory.create().id
    letter = add_letter(app, session, user, "test-letter", message_id=message_id, client_id=None)
    assert send() == 0
    session.refresh(letter)
    assert letter.state == LetterState.FAILED
    assert "deleted" in letter.last_error


def test_a_silent_server_times_out(
    app: Flask, send: Send, letter: OutboxLetter, settings: MailSettings, session: Session
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        settings.port = silent.getsockname()[1]
        app.config["MAIL_TIMEOUT"] = 0.2
        assert send() == 0
    session.refresh(letter)
    assert letter.state == LetterState.PENDING


def test_a_server_with_an_endless_greeting_times_out(
    app: Flask, send: Send, letter: OutboxLetter, settings: MailSettings, session: Session
) -> None:
    with run_endless_server() as settings.port:
        app.config["MAIL_TIMEOUT"] = 0.5
        start = time.monotonic()
        assert send() == 0
        assert time.monotonic() - start < 5
    session.refresh(letter)
    assert letter.state == LetterState.PENDING


@contextmanager
def run_endless_server() -> Iterator[int]:
    """Run a server whose greeting never ends; each line arrives within the socket's timeout."""
    listener = socket.create_server(("127.0.0.1", 0))

    def greet_endlessly() -> None:
        connection, _address = listener.accept()
        with connection, suppress(OSError):
            while True:
                connection.sendall(b"220-still here\r\n")
                time.sleep(0.05)

    thread = threading.Thread(target=greet_endlessly, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(60)
    listener.close()


def test_two_workers_send_each_letter_once(
    app: Flask, environment: dict[str, str], session: Session, smtp: SmtpServer
) -> None:
    for _ in range(40):
        add_letter(app, session, UserFactory.create(), "password-changed")
    other = create_app(TestingConfig(environment))

    def send_from(worker: Flask) -> int:
        with worker.app_context():
            count = tasks.send_due_letters(utcnow())
            close_dispatcher()
            db.engine.dispose()
        return count

    with ThreadPoolExecutor(2) as workers:
        counts = list(workers.map(send_from, (app, other)))
    assert sum(counts) == 40
    assert set(smtp.per_address().values()) == {1}
