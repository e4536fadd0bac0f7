"""Pausing, cancelling, disabling, blocking; going on again; failed letters once more."""

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.audit import present_actor
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.extensions import db
from skymailing.mailings import services
from skymailing.models import (
    Mailing,
    RunState,
    User,
)
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import check_ledger, only_run, states
from tests.factories import create_clients, due_mailing
from tests.servers import SmtpServer


@pytest.mark.parametrize("stop", ["pause", "disable", "block", "cancel"])
def test_nothing_is_claimed_once_a_mailing_is_stopped(
    app: Flask, session: Session, user: User, sweep: Work, smtp: SmtpServer, stop: str
) -> None:
    create_clients(user, 5)
    mailing = due_mailing(user)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        own = db.session.get_one(Mailing, mailing.id)
        match stop:
            case "pause":
                services.pause_mailing(own, utcnow())
            case "disable":
                services.disable_mailing(own, "complaints", utcnow(), present_actor())
            case "block":
                own.owner.blocked_at = utcnow()
            case "cancel":
                services.cancel_mailing(own, utcnow())
        db.session.commit()
        assert run_id is not None
        jobs.hint_run(run_id)
    sweep()

    assert not smtp.letters
    run = only_run(session)
    assert states(session, run) == ({"cancelled": 5} if stop == "cancel" else {"pending": 5})
    if stop == "cancel":
        assert run.state is RunState.CANCELLED
        return

    with app.app_context():
        own = db.session.get_one(Mailing, mailing.id)
        match stop:
            case "pause":
                services.resume_mailing(own, utcnow())
            case "disable":
                services.enable_mailing(own, "looked into", present_actor())
            case "block":
                own.owner.blocked_at = None
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
        assert services.resend_failed(own, utcnow()) == 1
        assert services.resend_failed(own, utcnow()) == 0, "safe to press twice"
        db.session.commit()
    sweep()

    run = only_run(session)
    assert states(session, run) == {"sent": 2}
    assert run.state is RunState.FINISHED
    assert smtp.per_address() == {unlucky.email: 1, fine.email: 1}
    check_ledger(session, run, smtp.letters)


def test_an_address_that_turned_out_dead_is_not_tried_again(
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
        assert services.resend_failed(own, utcnow()) == 1
        db.session.commit()
    sweep()

    assert states(session, only_run(session)) == {"sent": 1, "failed": 1}
