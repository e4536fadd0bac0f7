"""Test that account letters respect circuit breakers and rates, but never wait for mailings' letters."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.clock import utcnow
from skymailing.db import retries
from skymailing.delivery.routing import routes
from skymailing.delivery.routing.rate_limits import RateLimits
from skymailing.models import BreakerState, LetterState, OutboxLetter, Route, User
from skymailing.outbox import tasks
from tests.faults.sink import Sink, Stage, Turn
from tests.outbox.conftest import MailSettings, Send, add_letter
from tests.support.ports import find_free_port
from tests.support.servers import SmtpServer

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def add_letters(app: Flask, session: Session, user: User, count: int) -> None:
    for _ in range(count):
        add_letter(app, session, user, "reset-password")


@pytest.mark.one_engine
def test_a_refused_password_is_tried_once(
    app: Flask, session: Session, user: User, send: Send, settings: MailSettings
) -> None:
    def refuse(turn: Turn) -> None:
        if turn.stage is Stage.AUTH:
            turn.say("535 5.7.8 wrong password")

    with Sink(refuse, extensions=("AUTH PLAIN",)) as sink:
        settings.port, settings.username, settings.password = sink.port, "sky", "wrong"
        for _ in range(38):
            add_letters(app, session, user, 1)
            assert send(timedelta(minutes=1)) == 0

    assert sink.stage_counts[Stage.AUTH] == 1
    assert session.execute(select(Route)).scalar_one().state is BreakerState.OPEN
    assert set(session.scalars(select(OutboxLetter.state))) == {LetterState.PENDING}
    assert set(session.scalars(select(OutboxLetter.attempts))) == {0}


def test_an_account_letter_is_the_probe_after_an_outage(
    app: Flask, session: Session, user: User, send: Send, smtp: SmtpServer
) -> None:
    add_letters(app, session, user, 5)
    with app.app_context():
        routes.report_fault(routes.PRIMARY, routes.Fault(535, "535 5.7.8 wrong password"), utcnow())
    assert send() == 0

    with time_machine.travel(utcnow() + timedelta(minutes=20)):
        assert send() == 5
    assert session.execute(select(Route)).scalar_one().state is BreakerState.CLOSED


def test_the_second_mail_server_takes_over(
    app: Flask,
    session: Session,
    user: User,
    send: Send,
    settings: MailSettings,
    smtp: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = SimpleNamespace(
        server="127.0.0.1", port=smtp.port, use_tls=False, use_ssl=False, username=None, password=None
    )
    monkeypatch.setitem(app.config, "MAIL_FALLBACK", second)
    settings.port = find_free_port()
    add_letters(app, session, user, 1)
    with time_machine.travel(utcnow(), tick=False) as clock:
        for _ in range(5):
            assert send() == 0
            clock.shift(20)
        assert send() == 1


@pytest.mark.one_engine
def test_account_letters_are_limited_by_the_rate(
    app: Flask,
    session: Session,
    user: User,
    send: Send,
    settings: MailSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.config, "MAIL_RATE", 10)
    add_letters(app, session, user, 25)
    with Sink() as sink:
        settings.port = sink.port
        start = time.monotonic()
        assert send() == 25

    # Account letters may exceed the rate by a tenth: 11 per second, or 22 around the start of a second.
    assert time.monotonic() - start > 1


def test_a_fault_in_the_reply_to_a_letter_counts_no_attempt(
    app: Flask, session: Session, user: User, send: Send, smtp: SmtpServer
) -> None:
    add_letters(app, session, user, 1)
    smtp.data_replies[user.email] = "421 4.3.0 closing"
    assert send() == 0

    letter = session.execute(select(OutboxLetter)).scalar_one()
    assert (letter.state, letter.attempts) == (LetterState.PENDING, 0)
    assert session.execute(select(Route)).scalar_one().faults_in_a_row == 1


@pytest.mark.one_engine
def test_a_mailing_at_its_rate_limit_leaves_room_for_account_letters(app: Flask, session: Session) -> None:
    with app.app_context(), time_machine.travel(NOON, tick=False) as clock:
        mailings, account = RateLimits(20, None, None), RateLimits(20, None, None)
        assert count_allowed(mailings, 30) == 20
        assert [account.allow_account_letter(routes.PRIMARY) for _ in range(4)] == [True, True, False, False]
        clock.shift(1)
        assert count_allowed(mailings, 30) == 18, "the two letters are taken from this second"


@pytest.mark.one_engine
def test_account_letters_alone_use_the_whole_rate(app: Flask, session: Session) -> None:
    with app.app_context(), time_machine.travel(NOON, tick=False):
        account = RateLimits(20, None, None)
        assert sum(account.allow_account_letter(routes.PRIMARY) for _ in range(30)) == 22


def count_allowed(rates: RateLimits, count: int) -> int:
    return sum(rates.allow(routes.PRIMARY, 1, "anna@example.org") for _ in range(count))


def test_other_jobs_go_first_after_a_batch(
    app: Flask, session: Session, user: User, smtp: SmtpServer
) -> None:
    """The remaining letters stay due, and a job to send them is queued, as when a worker is stopped."""
    add_letters(app, session, user, tasks.BATCH + 5)
    with app.app_context():
        assert tasks.send_due_letters(utcnow(), lambda _elapsed: True) == tasks.BATCH
        assert queue.is_waiting(queue.SYSTEM)
        assert tasks.send_due_letters(utcnow()) == 5
    assert len(smtp.letters) == tasks.BATCH + 5


def test_results_are_recorded_once_the_database_is_back(
    app: Flask, session: Session, user: User, send: Send, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the letters would be sent again after their lease."""
    add_letters(app, session, user, 3)
    record, failures = tasks._record, iter([True, True, False])

    def fail_twice(*arguments: Any) -> None:
        if next(failures):
            raise OperationalError("UPDATE", {}, Exception("the database is restarting"))
        record(*arguments)

    monkeypatch.setattr(tasks, "_record", fail_twice)
    monkeypatch.setattr(retries, "PAUSE", 0)
    assert send() == 3
    assert set(session.scalars(select(OutboxLetter.state))) == {LetterState.SENT}
    assert len(smtp.letters) == 3
