"""Test A/B tests: who gets which letter, how a test is decided, and that no letter is lost."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import time, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from skymailing import turns
from skymailing.clock import utcnow
from skymailing.delivery import due, plan
from skymailing.delivery.ledger import claims
from skymailing.delivery.ledger.open_runs import load_run
from skymailing.delivery.variants.decision import decide_test, find_due_tests
from skymailing.delivery.variants.samples import Sample
from skymailing.extensions import db
from skymailing.mailings.resending import resend_failed
from skymailing.models import Decision, Delivery, DeliveryState, Mailing, MailingState, Run, RunState, User
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.tested import click, count_subjects, list_sample, plan_tested, read_subject
from tests.support.factories import MessageFactory, create_clients
from tests.support.servers import SmtpServer

CLIENTS = 60
DAY = timedelta(days=1)


@pytest.fixture
def run(session: Session, user: User, start: Start) -> Run:
    """Return a run of which only the sample has been sent."""
    create_clients(user, CLIENTS)
    start(plan_tested(user, session))
    return get_only_run(session)


def end_test(run: Run, sweep: Work) -> None:
    """Run a sweep at the end of the waiting time for results."""
    assert run.test_ends_at
    with time_machine.travel(run.test_ends_at + timedelta(seconds=1)):
        sweep()


def test_the_database_chooses_the_sample_that_the_code_describes(session: Session, run: Run) -> None:
    sample = Sample(run.uuid, 50, 2)
    deliveries = session.scalars(select(Delivery).where(Delivery.run_id == run.id)).all()
    assert len(deliveries) == CLIENTS
    for delivery in deliveries:
        assert delivery.client_id
        assert delivery.variant == sample.choose(delivery.client_id)


def test_only_the_sample_is_sent_at_first(session: Session, run: Run, smtp: SmtpServer) -> None:
    sizes = {name: len(list_sample(session, run, number)) for number, name in enumerate("AB", 1)}
    assert min(sizes.values()) > 0
    assert count_subjects(smtp.letters) == sizes
    for letter in smtp.letters:
        (delivery,) = session.scalars(select(Delivery).where(Delivery.email == letter.to))
        assert read_subject(letter) == "AB"[(delivery.variant or 0) - 1]
    assert run.state is RunState.TESTED
    assert count_states(session, run) == {"sent": len(smtp.letters), "pending": CLIENTS - len(smtp.letters)}
    check_ledger(session, run, smtp.letters)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_letters_that_wait_for_the_winner_are_not_read(app: Flask, run: Run) -> None:
    with app.app_context(), db.engine.connect() as connection:
        loaded = load_run(connection, run.id)
        seen: list[tuple[str, Any]] = []

        def note(
            _connection: object, _cursor: object, statement: str, values: object, *_rest: object
        ) -> None:
            seen.append((statement, values))

        event.listen(connection, "before_cursor_execute", note)
        assert claims.claim(connection, loaded, "token", utcnow(), 10, utcnow()) == []
        plans = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            for statement, values in list(seen)
            if "variant IS NOT NULL" in statement and "'deferred'" not in statement
        ]
    assert len(plans) == 1
    assert "ix_deliveries_sample" in str(plans)


def test_a_run_that_awaits_its_results_keeps_no_worker_busy(
    app: Flask, session: Session, run: Run, sweep: Work, smtp: SmtpServer
) -> None:
    sent = len(smtp.letters)
    with app.app_context():
        assert due.find_runs(utcnow(), within_limits=False) == []
        assert due.find_ended_runs(utcnow()) == []
    sweep()
    with app.app_context():
        assert turns.peek() is None
    assert len(smtp.letters) == sent
    assert get_only_run(session).state is RunState.TESTED


def test_the_other_clients_get_the_winner(session: Session, run: Run, sweep: Work, smtp: SmtpServer) -> None:
    sample = count_subjects(smtp.letters)
    click(session, run, list_sample(session, run, 2))

    end_test(run, sweep)

    run = get_only_run(session)
    assert (run.winner, run.decision, run.state) == (2, Decision.CLICKS, RunState.FINISHED)
    assert count_subjects(smtp.letters) == {"A": sample["A"], "B": CLIENTS - sample["A"]}
    assert count_states(session, run) == {"sent": CLIENTS}
    check_ledger(session, run, smtp.letters)


def test_with_equal_results_variant_a_is_sent(
    session: Session, run: Run, sweep: Work, smtp: SmtpServer
) -> None:
    b = count_subjects(smtp.letters)["B"]
    end_test(run, sweep)
    run = get_only_run(session)
    assert (run.winner, run.decision) == (1, Decision.NO_DIFFERENCE)
    assert count_subjects(smtp.letters) == {"A": CLIENTS - b, "B": b}


def test_clicks_of_machines_do_not_decide_a_test(session: Session, run: Run, sweep: Work) -> None:
    click(session, run, list_sample(session, run, 2), is_machine=True)
    click(session, run, list_sample(session, run, 1)[:1])
    end_test(run, sweep)
    assert get_only_run(session).winner == 1


def test_a_variant_can_change_the_sender_name_and_the_message(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    create_clients(user, CLIENTS)
    other = MessageFactory.create(owner=user, subject="C", body="Another text")
    variants: list[dict[str, Any]] = [{"sender_name": "The team"}, {"message_id": other.id}]
    start(plan_tested(user, session, variants, sender_name="The shop"))
    run = get_only_run(session)
    expected = [
        ("A", "The shop", "Здравствуйте"),
        ("A", "The team", "Здравствуйте"),
        ("C", "The shop", "Another"),
    ]
    for number, (subject, name, text) in enumerate(expected, 1):
        addresses = {delivery.email for delivery in list_sample(session, run, number)}
        letters = [letter for letter in smtp.letters if letter.to in addresses]
        assert letters
        for letter in letters:
            assert (read_subject(letter), letter.text.startswith(text)) == (subject, True)
            assert letter.parsed["From"].addresses[0].display_name == name


def test_a_test_is_decided_once(app: Flask, session: Session, run: Run) -> None:
    now = utcnow() + timedelta(hours=5)

    def decide(_number: int) -> bool:
        with app.app_context():
            return decide_test(run.id, now)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(decide, range(4))) == [False, False, False, True]
    with app.app_context():
        assert find_due_tests(now) == []


def test_unsent_letters_of_the_sample_delay_the_decision(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, CLIENTS)
    mailing = plan_tested(user, session)
    with app.app_context():
        plan.start_due_run(mailing.id, utcnow())
    mailing.state = MailingState.PAUSED
    session.flush()
    run = get_only_run(session)
    ends_at = run.test_ends_at
    assert ends_at

    end_test(run, sweep)

    run = get_only_run(session)
    assert run.winner is None
    assert run.test_ends_at
    assert run.test_ends_at - ends_at == pytest.approx(timedelta(hours=4), abs=timedelta(seconds=2))
    assert smtp.letters == []


def test_a_decision_while_paused_takes_effect_when_the_mailing_is_resumed(
    app: Flask, session: Session, run: Run, sweep: Work, smtp: SmtpServer
) -> None:
    sent = len(smtp.letters)
    mailing = session.get_one(Mailing, run.mailing_id)
    mailing.state = MailingState.PAUSED
    session.flush()
    end_test(run, sweep)
    assert get_only_run(session).winner == 1
    assert len(smtp.letters) == sent
    session.get_one(Mailing, run.mailing_id).state = MailingState.RUNNING
    session.flush()
    sweep()
    assert len(smtp.letters) == CLIENTS


@pytest.mark.parametrize("ending", [DeliveryState.EXPIRED, DeliveryState.CANCELLED])
def test_letters_that_wait_for_the_winner_end_with_their_mailing(
    session: Session, run: Run, sweep: Work, smtp: SmtpServer, ending: DeliveryState
) -> None:
    sent = len(smtp.letters)
    mailing = session.get_one(Mailing, run.mailing_id)
    if ending is DeliveryState.CANCELLED:
        mailing.state = MailingState.CANCELLED
    else:
        mailing.ends_at = utcnow()
    session.flush()

    sweep()

    run = get_only_run(session)
    assert count_states(session, run) == {"sent": sent, ending.value: CLIENTS - sent}
    assert run.winner is None
    check_ledger(session, run, smtp.letters)
    end_test(run, sweep)
    assert get_only_run(session).winner is None, "there is nothing left to decide"


def test_failed_letters_keep_their_variants_when_they_are_sent_again(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, work: Work, smtp: SmtpServer
) -> None:
    clients = create_clients(user, CLIENTS)
    # More would pause the mailing.
    smtp.rcpt_replies.update({client.email: "550 5.7.1 no" for client in clients[:8]})
    mailing = plan_tested(user, session)
    start(mailing)
    smtp.rcpt_replies.clear()
    smtp.letters.clear()
    run = get_only_run(session)
    sample = [delivery for number in (1, 2) for delivery in list_sample(session, run, number)]
    failed = Counter(delivery.variant for delivery in sample if delivery.state is DeliveryState.FAILED)
    assert count_states(session, run)["failed"] == sum(failed.values()) > 0

    with app.app_context():
        assert resend_failed(db.session.get_one(Mailing, mailing.id), utcnow()) == sum(failed.values())
        db.session.commit()
    sweep()

    assert count_subjects(smtp.letters) == Counter({"A": failed[1], "B": failed[2]})
    assert get_only_run(session).state is RunState.TESTED


def test_a_retry_keeps_its_variant_after_the_decision(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    clients = create_clients(user, CLIENTS)
    smtp.rcpt_replies.update({client.email: "451 4.3.0 later" for client in clients})
    start(plan_tested(user, session))
    run = get_only_run(session)
    sizes = {number: len(list_sample(session, run, number)) for number in (1, 2)}
    assert count_states(session, run)["deferred"] == sum(sizes.values())
    smtp.rcpt_replies.clear()

    end_test(run, sweep)

    run = get_only_run(session)
    assert run.winner == 1
    assert count_subjects(smtp.letters) == {"A": CLIENTS - sizes[2], "B": sizes[2]}
    check_ledger(session, run, smtp.letters)


def test_a_version_without_variants_can_neither_plan_nor_send_such_a_run(app: Flask, run: Run) -> None:
    names = ("mailing_id", "subject", "format", "body", "sender_name", "reply_to", "started_at")
    values = {name: getattr(run, name) for name in names} | {"scheduled_for": utcnow() - DAY}
    planning = insert(Run).values(values)
    with app.app_context():
        with pytest.raises(DBAPIError, match="variants of its mailing"), db.engine.begin() as connection:
            connection.execute(planning)
        for state in (RunState.PLANNED, RunState.SENDING, RunState.ROUTED):
            sending = update(Run).where(Run.id == run.id).values(state=state)
            with pytest.raises(DBAPIError, match="own_variants"), db.engine.begin() as connection:
                connection.execute(sending)


def test_a_test_waits_for_the_opening_of_the_sending_hours(app: Flask, session: Session, user: User) -> None:
    create_clients(user, 1)
    now = utcnow().replace(hour=20, minute=0)
    hours: dict[str, Any] = {"opens_at": time(9), "closes_at": time(18), "ends_at": now + 3 * DAY}
    mailing = plan_tested(user, session, starts_at=now, next_run_at=now, **hours)
    with app.app_context(), time_machine.travel(now):
        plan.start_due_run(mailing.id, utcnow())
    opening = (now + DAY).replace(hour=9, minute=0, second=0, microsecond=0)
    assert get_only_run(session).test_ends_at == opening + timedelta(hours=4)
