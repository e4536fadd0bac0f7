"""Pausing, cancelling, disabling or blocking stops a mailing; resuming and resending continue it."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import hints
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.send import close_dispatcher
from skymailing.extensions import db
from skymailing.mailings import resending, services
from skymailing.mailings.errors import MailingError
from skymailing.models import (
    Mailing,
    MailingState,
    Periodicity,
    Run,
    RunState,
    User,
)
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import check_ledger, only_run, states
from tests.delivery.stops import resume, stop
from tests.support.factories import create_clients, create_run, due_mailing
from tests.support.servers import RedisServer, SmtpServer


@pytest.mark.parametrize("how", ["pause", "disable", "block", "cancel"])
def test_nothing_is_claimed_once_a_mailing_is_stopped(
    app: Flask, session: Session, user: User, sweep: Work, smtp: SmtpServer, how: str
) -> None:
    create_clients(user, 5)
    mailing = due_mailing(user)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        own = db.session.get_one(Mailing, mailing.id)
        stop(own, how)
        db.session.commit()
        assert run_id is not None
        hints.hint_run(run_id)
    sweep()

    assert not smtp.letters
    run = only_run(session)
    assert states(session, run) == ({"cancelled": 5} if how == "cancel" else {"pending": 5})
    if how == "cancel":
        assert run.state is RunState.CANCELLED
        return

    with app.app_context():
        own = db.session.get_one(Mailing, mailing.id)
        resume(own, how)
        db.session.commit()
    sweep()

    assert states(session, only_run(session)) == {"sent": 5}
    check_ledger(session, only_run(session), smtp.letters)


def test_failed_letters_can_be_sent_again(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    unlucky, fine = create_clients(user, 2)
    smtp.rcpt_replies[unlucky.email] = "550 5.7.1 not today"
    mailing = due_mailing(user)
    start(mailing)
    smtp.rcpt_replies.clear()

    with app.app_context():
        own = db.session.get_one(Mailing, mailing.id)
        assert resending.resend_failed(own, utcnow()) == 1
        assert resending.resend_failed(own, utcnow()) == 0, "a second click changes nothing"
        db.session.commit()
    sweep()

    run = only_run(session)
    assert states(session, run) == {"sent": 2}
    assert run.state is RunState.FINISHED
    assert smtp.per_address() == {unlucky.email: 1, fine.email: 1}
    check_ledger(session, run, smtp.letters)


def test_a_dead_address_is_not_resent(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    dead, unlucky = create_clients(user, 2)
    smtp.rcpt_replies[dead.email] = "550 5.1.1 no such user"
    smtp.rcpt_replies[unlucky.email] = "550 5.7.1 not today"
    mailing = due_mailing(user)
    start(mailing)
    smtp.rcpt_replies.clear()

    with app.app_context():
        own = db.session.get_one(Mailing, mailing.id)
        assert resending.resend_failed(own, utcnow()) == 1
        db.session.commit()
    sweep()

    assert states(session, only_run(session)) == {"sent": 1, "failed": 1}


def test_a_pause_survives_restarts_and_no_letter_is_repeated(
    app: Flask,
    session: Session,
    user: User,
    start: Start,
    sweep: Work,
    smtp: SmtpServer,
    redis_server: RedisServer,
) -> None:
    """All processes and Redis are restarted while there are sent, deferred and pending letters."""
    fine, slow = create_clients(user, 2)
    smtp.rcpt_replies[slow.email] = "451 4.7.1 later"
    begin = utcnow().replace(microsecond=0)
    window = {"starts_at": begin, "next_run_at": begin, "ends_at": begin + timedelta(days=9)}
    mailing = due_mailing(user, periodicity=Periodicity.DAILY, **window)
    start(mailing)
    smtp.rcpt_replies.clear()
    with app.app_context():
        services.pause_mailing(db.session.get_one(Mailing, mailing.id), utcnow())
        db.session.commit()
        close_dispatcher()
    redis_server.client.flushall()
    for hours in (1, 25):
        with time_machine.travel(begin + timedelta(hours=hours)):
            sweep()
    assert smtp.per_address() == {fine.email: 1}
    assert states(session, only_run(session)) == {"sent": 1, "deferred": 1}

    with time_machine.travel(begin + timedelta(hours=26)):
        with app.app_context():
            services.resume_mailing(db.session.get_one(Mailing, mailing.id), utcnow())
            db.session.commit()
        for _twice in range(2):  # one run ends, the next one starts
            sweep()
    first, missed = session.scalars(select(Run).order_by(Run.scheduled_for))
    assert missed.scheduled_for == begin + timedelta(days=1)
    assert states(session, first) == states(session, missed) == {"sent": 2}
    assert smtp.per_address() == {fine.email: 2, slow.email: 2}


def test_open_deliveries_expire_if_the_window_ends_during_a_pause(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    client = create_clients(user, 1)[0]
    smtp.rcpt_replies[client.email] = "451 4.7.1 later"
    mailing = due_mailing(user)
    start(mailing)
    with app.app_context():
        services.pause_mailing(db.session.get_one(Mailing, mailing.id), utcnow())
        db.session.commit()
    with time_machine.travel(mailing.ends_at + timedelta(seconds=1)):
        sweep()
        assert states(session, only_run(session)) == {"expired": 1}
        session.refresh(mailing)
        assert mailing.state is MailingState.FINISHED
        with app.test_request_context(), pytest.raises(MailingError, match="mailing_not_paused"):
            services.resume_mailing(db.session.get_one(Mailing, mailing.id), utcnow())


def test_cancelling_a_mailing_cancels_deferred_letters_and_later_runs(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    fine, slow = create_clients(user, 2)
    smtp.rcpt_replies[slow.email] = "451 4.7.1 later"
    begin = utcnow().replace(microsecond=0)
    window = {"starts_at": begin, "next_run_at": begin, "ends_at": begin + timedelta(days=9)}
    mailing = due_mailing(user, periodicity=Periodicity.DAILY, **window)
    start(mailing)
    with app.app_context():
        services.cancel_mailing(db.session.get_one(Mailing, mailing.id), utcnow())
        db.session.commit()
    smtp.rcpt_replies.clear()
    for hours in (0, 1, 25):
        with time_machine.travel(begin + timedelta(hours=hours)):
            sweep()
    assert states(session, only_run(session)) == {"sent": 1, "cancelled": 1}
    assert smtp.per_address() == {fine.email: 1}
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.CANCELLED, None)


def test_starting_now_keeps_the_schedule_of_a_recurring_mailing(
    app: Flask, session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    client = create_clients(user, 1)[0]
    begin = utcnow().replace(microsecond=0) - timedelta(days=3, hours=5)
    following = begin + timedelta(days=4)
    mailing = due_mailing(
        user,
        periodicity=Periodicity.DAILY,
        starts_at=begin,
        next_run_at=following,
        ends_at=begin + timedelta(days=9),
    )
    create_run(mailing, {}, scheduled_for=begin + timedelta(days=3))
    with app.app_context():
        services.start_now(db.session.get_one(Mailing, mailing.id), utcnow())
        db.session.commit()
    sweep()
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, following)
    assert smtp.per_address() == {client.email: 1}
    with time_machine.travel(following):
        sweep()
    assert smtp.per_address() == {client.email: 2}
