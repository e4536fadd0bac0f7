"""Test that letters are retried on our schedule or when the server asks, for a limited time."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.ledger import claims, open_runs
from skymailing.delivery.retry import choose_wait
from skymailing.extensions import db
from skymailing.mailings import resending
from skymailing.models import Attempt, Delivery, DeliveryState, Mailing, Outcome, User
from skymailing.settings.engine import EngineSettings
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.support.factories import ClientFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer

SETTINGS = EngineSettings()


def test_waits_grow_to_four_hours() -> None:
    minutes = [
        choose_wait(attempt, "451 later", SETTINGS, 0).total_seconds() / 60 for attempt in range(1, 21)
    ]
    assert minutes == [1, 5, 15, 30, 60, 120, *[240] * 14]


def test_jitter_changes_a_wait_by_at_most_a_fifth() -> None:
    assert choose_wait(2, "", SETTINGS, -1) == timedelta(minutes=4)
    assert choose_wait(2, "", SETTINGS, 1) == timedelta(minutes=6)


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        ("4.2.0 Greylisted, try again in 5 min", timedelta(minutes=5)),
        ("4.7.1 retry after 300 seconds", timedelta(seconds=300)),
        ("Please wait 2 hours", timedelta(hours=2)),
        ("TRY AGAIN IN 90S", timedelta(seconds=90)),
        ("try again in 0 s", timedelta(seconds=1)),
        ("try again in 40 hours", timedelta(hours=24)),
        ("try again later. Session 15 hung up", timedelta(minutes=1)),
        ("4.3.0 queue 12 minutes long", timedelta(minutes=1)),
    ],
)
def test_a_wait_is_taken_from_the_reply_and_limited_to_a_day(reply: str, wait: timedelta) -> None:
    for jitter in (-1.0, 1.0):
        if wait == timedelta(minutes=1):
            assert choose_wait(1, reply, SETTINGS, jitter) == wait * (1 + jitter / 5)
        else:
            assert choose_wait(7, reply, SETTINGS, jitter) == wait


def test_a_run_that_waited_for_days_still_retries_for_three_days(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    """The 72 hours are counted from a letter's first attempt, not from the start of the run."""
    recovering, refused = create_clients(user, 2)
    smtp.rcpt_replies[recovering.email] = "451 4.7.1 greylisted"
    smtp.rcpt_replies[refused.email] = "451 4.7.1 greylisted"
    with app.app_context():
        mailing = due_mailing(user, ends_at=utcnow() + timedelta(days=30))
        plan.start_due_run(mailing.id, utcnow())
    later = utcnow() + timedelta(days=4)

    with time_machine.travel(later):
        sweep()
    assert count_states(session, get_only_run(session)) == {"deferred": 2}
    smtp.rcpt_replies.pop(recovering.email)
    with time_machine.travel(later + timedelta(hours=73)):
        sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 1, "failed": 1}
    check_ledger(session, get_only_run(session), smtp.letters)


def test_a_resent_letter_gets_a_new_series_of_attempts(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    smtp.rcpt_replies[client.email] = "550 5.7.1 not today"
    mailing = due_mailing(user, ends_at=utcnow() + timedelta(days=30))
    start(mailing)
    smtp.rcpt_replies[client.email] = "451 4.7.1 greylisted"
    later = utcnow() + timedelta(days=4)
    with time_machine.travel(later):
        with app.app_context():
            assert resending.resend_failed(db.session.get_one(Mailing, mailing.id), utcnow()) == 1
            db.session.commit()
        sweep()
    assert count_states(session, get_only_run(session)) == {"deferred": 1}

    smtp.rcpt_replies.clear()
    with time_machine.travel(later + timedelta(minutes=2)):
        sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 1}
    check_ledger(session, get_only_run(session), smtp.letters)


@pytest.mark.one_engine
def test_a_letter_fails_after_twenty_attempts(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    smtp.rcpt_replies[client.email] = "451 4.7.1 try again in 1 minute"
    start(due_mailing(user))
    for minutes in range(2, 42, 2):
        with time_machine.travel(utcnow() + timedelta(minutes=minutes)):
            sweep()

    assert count_states(session, get_only_run(session)) == {"failed": 1}
    outcomes = list(session.scalars(select(Attempt.outcome).order_by(Attempt.number)))
    assert outcomes == [Outcome.DEFERRED] * 19 + [Outcome.FAILED]


def test_due_letters_are_claimed_in_the_order_in_which_they_became_due(
    app: Flask, session: Session, user: User
) -> None:
    create_clients(user, 4)
    mailing = due_mailing(user)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        assert run_id
        for minutes, delivery in enumerate(session.scalars(select(Delivery).order_by(Delivery.id)), -1):
            delivery.state, delivery.due_at = DeliveryState.DEFERRED, utcnow() - timedelta(minutes=minutes)
        session.flush()
        not_due, *due = session.scalars(select(Delivery.id).order_by(Delivery.id)).all()
        with db.engine.begin() as connection:
            run = open_runs.load_run(connection, run_id)
            lease_until = utcnow() + timedelta(minutes=3)
            claimed = [claims.claim(connection, run, "t", lease_until, 2, utcnow()) for _ in range(3)]

    assert [[letter.id for letter in letters] for letters in claimed] == [due[:0:-1], due[:1], []]
    assert session.get_one(Delivery, not_due).state is DeliveryState.DEFERRED
