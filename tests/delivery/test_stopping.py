"""Test stopping a mailing by pausing, cancelling, disabling or blocking, and continuing it afterwards."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import hints
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.dispatcher import close_dispatcher
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
from tests.delivery.ledger import check_ledger, count_states, get_only_run
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
        mailing_in_app = db.session.get_one(Mailing, mailing.id)
        stop(mailing_in_app, how)
        db.session.commit()
        assert run_id is not None
        hints.hint_run(run_id)
    sweep()

    assert not smtp.letters
    run = get_only_run(session)
    assert count_states(session, run) == ({"cancelled": 5} if how == "cancel" else {"pending": 5})
    if how == "cancel":
        assert run.state is RunState.CANCELLED
        return

    with app.app_context():
        mailing_in_app = db.session.get_one(Mailing, mailing.id)
        resume(mailing_in_app, how)
        db.session.commit()
    sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 5}
    check_ledger(session, get_only_run(session), smtp.letters)


def test_failed_letters_can_be_sent_again(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    refused, accepted = create_clients(user, 2)
    smtp.rcpt_replies[refused.email] = "550 5.7.1 not today"
    mailing = due_mailing(user)
    start(mailing)
    smtp.rcpt_replies.clear()

    with app.app_context():
        mailing_in_app = db.session.get_one(Mailing, mailing.id)
        assert resending.resend_failed(mailing_in_app, utcnow()) == 1
        assert resending.resend_failed(mailing_in_app, utcnow()) == 0, "a second click changes nothing"
        db.session.commit()
    sweep()

    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 2}
    assert run.state is RunState.FINISHED
    assert smtp.per_address() == {refused.email: 1, accepted.email: 1}
    check_ledger(session, run, smtp.letters)


def test_a_dead_address_is_not_resent(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    invalid, refused = create_clients(user, 2)
    smtp.rcpt_replies[invalid.email] = "550 5.1.1 no such user"
    smtp.rcpt_replies[refused.email] = "550 5.7.1 not today"
    mailing = due_mailing(user)
    start(mailing)
    smtp.rcpt_replies.clear()

    with app.app_context():
        mailing_in_app = db.session.get_one(Mailing, mailing.id)
        assert resending.resend_failed(mailing_in_app, utcnow()) == 1
        db.session.commit()
    sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 1, "failed": 1}


def test_a_pause_survives_restarts_without_repeated_letters(
    app: Flask,
    session: Session,
    user: User,
    start: Start,
    sweep: Work,
    smtp: SmtpServer,
    redis_server: RedisServer,
) -> None:
    """All processes and Redis are restarted while there are sent, deferred and pending letters."""
    accepted, deferred = create_clients(user, 2)
    smtp.rcpt_replies[deferred.email] = "451 4.7.1 later"
    start_time = utcnow().replace(microsecond=0)
    period = {"starts_at": start_time, "next_run_at": start_time, "ends_at": start_time + timedelta(days=9)}
    mailing = due_mailing(user, periodicity=Periodicity.DAILY, **period)
    start(mailing)
    smtp.rcpt_replies.clear()
    with app.app_context():
        services.pause_mailing(db.session.get_one(Mailing, mailing.id), utcnow())
        db.session.commit()
        close_dispatcher()
    redis_server.client.flushall()
    for hours in (1, 25):
        with time_machine.travel(start_time + timedelta(hours=hours)):
            sweep()
    assert smtp.per_address() == {accepted.email: 1}
    assert count_states(session, get_only_run(session)) == {"sent": 1, "deferred": 1}

    with time_machine.travel(start_time + timedelta(hours=26)):
        with app.app_context():
            services.resume_mailing(db.session.get_one(Mailing, mailing.id), utcnow(), current_actor())
            db.session.commit()
        for _attempt in range(2):  # the first ends one run, the second starts the next
            sweep()
    first, missed = session.scalars(select(Run).order_by(Run.scheduled_for))
    assert missed.scheduled_for == start_time + timedelta(days=1)
    assert count_states(session, first) == count_states(session, missed) == {"sent": 2}
    assert smtp.per_address() == {accepted.email: 2, deferred.email: 2}


def test_open_deliveries_expire_if_the_mailing_ends_during_a_pause(
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
        assert count_states(session, get_only_run(session)) == {"expired": 1}
        session.refresh(mailing)
        assert mailing.state is MailingState.FINISHED
        with app.test_request_context(), pytest.raises(MailingError, match="mailing_not_paused"):
            services.resume_mailing(db.session.get_one(Mailing, mailing.id), utcnow(), current_actor())


def test_cancelling_a_mailing_cancels_deferred_letters_and_later_runs(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    accepted, deferred = create_clients(user, 2)
    smtp.rcpt_replies[deferred.email] = "451 4.7.1 later"
    start_time = utcnow().replace(microsecond=0)
    period = {"starts_at": start_time, "next_run_at": start_time, "ends_at": start_time + timedelta(days=9)}
    mailing = due_mailing(user, periodicity=Periodicity.DAILY, **period)
    start(mailing)
    with app.app_context():
        services.cancel_mailing(db.session.get_one(Mailing, mailing.id), utcnow())
        db.session.commit()
    smtp.rcpt_replies.clear()
    for hours in (0, 1, 25):
        with time_machine.travel(start_time + timedelta(hours=hours)):
            sweep()
    assert count_states(session, get_only_run(session)) == {"sent": 1, "cancelled": 1}
    assert smtp.per_address() == {accepted.email: 1}
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.CANCELLED, None)


def test_starting_now_keeps_the_schedule_of_a_recurring_mailing(
    app: Flask, session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    client = create_clients(user, 1)[0]
    start_time = utcnow().replace(microsecond=0) - timedelta(days=3, hours=5)
    next_start = start_time + timedelta(days=4)
    mailing = due_mailing(
        user,
        periodicity=Periodicity.DAILY,
        starts_at=start_time,
        next_run_at=next_start,
        ends_at=start_time + timedelta(days=9),
    )
    create_run(mailing, {}, scheduled_for=start_time + timedelta(days=3))
    with app.app_context():
        services.start_now(db.session.get_one(Mailing, mailing.id), utcnow(), None)
        db.session.commit()
    sweep()
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, next_start)
    assert smtp.per_address() == {client.email: 1}
    with time_machine.travel(next_start):
        sweep()
    assert smtp.per_address() == {client.email: 2}
