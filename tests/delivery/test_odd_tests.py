"""Test A/B tests of mailings with few clients, with clients who leave, and of recurring mailings."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import due
from skymailing.delivery.variants.decision import find_due_tests
from skymailing.extensions import db
from skymailing.mailings.resending import resend_failed
from skymailing.mailings.variant_choice import choose_winner
from skymailing.mailings.variants import save_variants
from skymailing.models import (
    Client,
    Decision,
    Delivery,
    DeliveryState,
    Mailing,
    Message,
    Periodicity,
    Run,
    RunState,
    User,
    WinnerBy,
)
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.test_variants import CLIENTS, end_test
from tests.delivery.tested import click, count_subjects, list_sample, plan_tested
from tests.support.factories import MessageFactory, SuppressionFactory, create_clients
from tests.support.servers import SmtpServer

OTHERS = Delivery.variant.is_(None)


def list_others(session: Session, run: Run) -> list[Delivery]:
    return list(session.scalars(select(Delivery).where(Delivery.run_id == run.id, OTHERS)))


def test_a_test_without_clients_ends_at_once(session: Session, user: User, start: Start) -> None:
    start(plan_tested(user, session))
    run = get_only_run(session)
    assert (run.planned, run.state) == (0, RunState.FINISHED)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_clients_wait_only_if_the_sample_is_not_empty(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer, count: int
) -> None:
    create_clients(user, count)
    start(plan_tested(user, session, sample_percent=10))
    run = get_only_run(session)
    sample = [delivery for number in (1, 2) for delivery in list_sample(session, run, number)]
    if sample:
        assert len(smtp.letters) == len(sample)
        end_test(run, sweep)
    run = get_only_run(session)
    # With an empty sample, there is nothing to wait for.
    assert run.state is RunState.FINISHED
    assert len(smtp.letters) == count
    check_ledger(session, run, smtp.letters)
    if not sample:
        assert (run.winner, run.decision) == (1, Decision.NO_DIFFERENCE)


def test_an_owner_can_choose_even_if_the_sample_is_empty(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 1)
    start(plan_tested(user, session, sample_percent=10, winner_by=WinnerBy.OWNER))
    run = get_only_run(session)
    if list_sample(session, run, 1) or list_sample(session, run, 2):
        return  # by chance, in one of ten cases
    assert (run.winner, smtp.letters) == (None, [])
    with app.app_context():
        choose_winner(db.session.get_one(Run, run.id), 2, utcnow())
        db.session.commit()
    sweep()
    assert count_subjects(smtp.letters) == {"B": 1}


def test_clients_who_unsubscribe_or_are_deleted_while_they_wait_get_nothing(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, CLIENTS)
    start(plan_tested(user, session))
    run = get_only_run(session)
    waiting = list_others(session, run)
    unsubscribed, deleted = waiting[:3], waiting[3:5]
    for delivery in unsubscribed:
        SuppressionFactory.create(owner_id=user.id, email_key=delivery.email_key)
    for delivery in deleted:
        session.delete(session.get_one(Client, delivery.client_id))
    session.flush()

    end_test(run, sweep)

    run = get_only_run(session)
    expected = {"sent": CLIENTS - 5, "suppressed": 3, "cancelled": 2}
    assert (count_states(session, run), run.state) == (expected, RunState.FINISHED)
    assert not {letter.to for letter in smtp.letters} & {one.email for one in [*unsubscribed, *deleted]}
    check_ledger(session, run, smtp.letters)


def test_failed_letters_outside_the_sample_get_the_winner_again(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, CLIENTS)
    mailing = plan_tested(user, session, winner_by=WinnerBy.OWNER)
    start(mailing)
    run = get_only_run(session)
    refused = [delivery.email for delivery in list_others(session, run)[:4]]
    smtp.rcpt_replies.update(dict.fromkeys(refused, "550 5.7.1 no"))
    with app.app_context():
        choose_winner(db.session.get_one(Run, run.id), 2, utcnow())
        db.session.commit()
    sweep()
    assert count_states(session, get_only_run(session))["failed"] == len(refused)
    smtp.rcpt_replies.clear()
    smtp.letters.clear()

    with app.app_context():
        assert resend_failed(db.session.get_one(Mailing, mailing.id), utcnow()) == len(refused)
        db.session.commit()
    sweep()

    assert count_subjects(smtp.letters) == {"B": len(refused)}
    run = get_only_run(session)
    assert (run.state, run.winner) == (RunState.FINISHED, 2)


@pytest.mark.one_engine
def test_each_run_of_a_recurring_mailing_has_its_own_test(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, CLIENTS)
    now = utcnow()
    daily: dict[str, Any] = {
        "periodicity": Periodicity.DAILY,
        "starts_at": now,
        "ends_at": now + timedelta(days=9),
    }
    mailing = plan_tested(user, session, **daily)
    start(mailing)
    end_test(get_only_run(session), sweep)
    assert len(smtp.letters) == CLIENTS
    smtp.letters.clear()

    with time_machine.travel(now + timedelta(days=1, minutes=1)):
        sweep()
        first, second = session.scalars(select(Run).order_by(Run.id))
        assert (first.state, second.state) == (RunState.FINISHED, RunState.TESTED)
        assert second.winner is None
        sample = [delivery for number in (1, 2) for delivery in list_sample(session, second, number)]
        assert len(smtp.letters) == len(sample) < CLIENTS
        assert {delivery.client_id for delivery in sample} != {
            delivery.client_id for number in (1, 2) for delivery in list_sample(session, first, number)
        }
    end_test(second, sweep)
    assert len(smtp.letters) == CLIENTS


@pytest.mark.one_engine
def test_a_clock_that_jumps_back_decides_a_test_later_and_not_twice(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, CLIENTS)
    start(plan_tested(user, session))
    run = get_only_run(session)
    end_test(run, sweep)
    with time_machine.travel(utcnow() - timedelta(hours=3)):
        sweep()
        with app.app_context():
            assert find_due_tests(utcnow()) == []
            assert due.find_runs(utcnow()) == []
    run = get_only_run(session)
    assert len(smtp.letters) == CLIENTS
    assert count_states(session, run) == {DeliveryState.SENT.value: CLIENTS}


@pytest.mark.one_engine
def test_a_mailing_that_is_edited_while_its_clients_wait_changes_nothing_for_them(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, CLIENTS)
    other = MessageFactory.create(owner=user, subject="B", body="Text of B")
    mailing = plan_tested(user, session, [{"message_id": other.id}])
    start(mailing)
    run = get_only_run(session)
    a = len(list_sample(session, run, 1))
    click(session, run, list_sample(session, run, 2))
    with app.app_context():
        edited = db.session.get_one(Mailing, mailing.id)
        save_variants(edited, ())
        edited.sample_percent = 0
        edited.message.subject = "Another subject"
        db.session.delete(db.session.get_one(Message, other.id))
        db.session.commit()

    end_test(run, sweep)

    assert count_subjects(smtp.letters) == {"A": a, "B": CLIENTS - a}
    check_ledger(session, get_only_run(session), smtp.letters)
