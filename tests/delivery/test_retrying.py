"""Test which letters are retried, which fail, and which are left to the owner's decision."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, event, func, select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.extensions import db
from skymailing.models import (
    Attempt,
    Client,
    Delivery,
    DeliveryState,
    MailingState,
    OnUnknown,
    Outcome,
    Route,
    RunState,
    Suppression,
    SuppressionReason,
    User,
)
from tests.delivery.conftest import ServeFrom, Start, Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.scripted import Peer, scripted_server
from tests.support.factories import ClientFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer


def test_a_refused_address_fails_and_a_dead_one_is_suppressed(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    invalid, full, accepted = create_clients(user, 3)
    smtp.rcpt_replies[invalid.email] = "550 5.1.1 no such user"
    smtp.rcpt_replies[full.email] = "552 5.2.2 mailbox full"

    start(due_mailing(user))

    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 1, "failed": 2}
    suppression = session.execute(select(Suppression)).scalar_one()
    assert (suppression.email_key, suppression.reason) == (invalid.email_key, SuppressionReason.BOUNCED)
    assert suppression.note == "5.1.1 no such user"
    assert set(smtp.per_address()) == {accepted.email}
    check_ledger(session, run, smtp.letters)


def test_a_deferred_letter_is_retried_when_it_is_due(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    smtp.rcpt_replies[client.email] = "451 4.7.1 greylisted"
    start(due_mailing(user))

    delivery = session.execute(select(Delivery)).scalar_one()
    assert delivery.state is DeliveryState.DEFERRED
    assert delivery.due_at is not None
    assert timedelta(seconds=45) < delivery.due_at - utcnow() < timedelta(seconds=75)
    assert get_only_run(session).state is RunState.SENDING

    sweep()
    assert not smtp.letters, "not due yet"

    smtp.rcpt_replies.clear()
    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        sweep()

    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 1}
    assert run.state is RunState.FINISHED
    outcomes = session.scalars(select(Attempt.outcome).order_by(Attempt.number)).all()
    assert outcomes == [Outcome.DEFERRED, Outcome.SENT]
    check_ledger(session, run, smtp.letters)


def test_a_wait_requested_by_the_server_is_respected(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    smtp.rcpt_replies[client.email] = "450 greylisted, try again in 10 minutes"
    start(due_mailing(user))

    delivery = session.execute(select(Delivery)).scalar_one()
    assert delivery.due_at is not None
    assert timedelta(minutes=9.9) < delivery.due_at - utcnow() <= timedelta(minutes=10)


def accept_and_hang_up(accepted: list[str]) -> Callable[[Peer], None]:
    def serve(peer: Peer) -> None:
        peer.greet()
        peer.read()
        peer.send("250 ok")
        accepted.append(peer.read())
        peer.send("250 ok")
        peer.read()
        peer.send("354 go")
        peer.read_body()

    return serve


@pytest.mark.parametrize("policy", OnUnknown)
def test_an_unknown_letter_is_treated_as_the_mailings_setting_requires(
    session: Session,
    user: User,
    start: Start,
    sweep: Work,
    smtp: SmtpServer,
    smtp_server: SmtpServer,
    serve_from: ServeFrom,
    policy: OnUnknown,
) -> None:
    client = ClientFactory.create(owner=user)
    accepted: list[str] = []
    with scripted_server(accept_and_hang_up(accepted)) as port:
        serve_from(port)
        start(due_mailing(user, on_unknown=policy))
    assert accepted == [f"RCPT TO:<{client.email}>"]
    attempt = session.execute(select(Attempt)).scalar_one()
    assert attempt.outcome is Outcome.UNKNOWN

    serve_from(smtp_server.port)
    with time_machine.travel(utcnow() + timedelta(minutes=31)):
        sweep()

    run = get_only_run(session)
    if policy is OnUnknown.HOLD:
        assert count_states(session, run) == {"unknown": 1}
        assert not smtp.letters
    else:
        assert count_states(session, run) == {"sent": 1}
        check_ledger(session, run, smtp.letters)
    assert run.state is RunState.FINISHED


def test_an_unavailable_server_uses_up_no_attempts_and_later_gets_every_letter(
    session: Session,
    user: User,
    start: Start,
    sweep: Work,
    smtp: SmtpServer,
    smtp_server: SmtpServer,
    serve_from: ServeFrom,
) -> None:
    clients = create_clients(user, 3)
    serve_from(9)  # a port without a server
    start(due_mailing(user))
    for _ in range(5):
        sweep()
    assert count_states(session, get_only_run(session)) == {"pending": 3}
    assert session.scalar(select(func.count()).select_from(Attempt)) == 0
    route = session.execute(select(Route)).scalar_one()
    assert route.state == "open"
    assert "refused" in route.last_fault

    serve_from(smtp_server.port)
    sweep()
    assert not smtp.letters, "the breaker is open"
    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        sweep()

    assert smtp.per_address() == {client.email: 1 for client in clients}
    session.refresh(route)
    assert route.state == "closed"
    check_ledger(session, get_only_run(session), smtp.letters)


def test_a_refused_sender_pauses_the_mailing_with_the_reason(
    session: Session, user: User, start: Start, serve_from: ServeFrom
) -> None:
    def refuse(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.read()
        peer.send("550 5.7.1 your domain is not welcome")

    create_clients(user, 10)
    mailing = due_mailing(user)
    with scripted_server(refuse) as port:
        serve_from(port)
        start(mailing)

    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert mailing.state_reason == "refused: 550 5.7.1 your domain is not welcome"
    assert count_states(session, get_only_run(session)) == {"pending": 10}


def test_an_expired_lease_without_a_journal_becomes_unknown(
    app: Flask, session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 2)
    mailing = due_mailing(user, on_unknown=OnUnknown.HOLD)
    with app.app_context():
        plan.start_due_run(mailing.id, utcnow())
    expired_at: datetime = utcnow() - timedelta(minutes=1)
    session.execute(
        update(Delivery).values(state=DeliveryState.SENDING, lease_token="gone", lease_until=expired_at)
    )

    sweep()

    run = get_only_run(session)
    assert count_states(session, run) == {"unknown": 2}
    assert run.state is RunState.FINISHED
    check_ledger(session, run, smtp.letters)


@pytest.mark.parametrize("reply", ["550 5.1.8 sender domain not found", "553 5.1.7 bad sender syntax"])
def test_a_sender_refused_at_rcpt_does_not_suppress_the_recipient(
    session: Session, user: User, start: Start, smtp: SmtpServer, reply: str
) -> None:
    """By default (smtpd_delay_reject), Postfix refuses a sender only at RCPT."""
    for client in create_clients(user, 3):
        smtp.rcpt_replies[client.email] = reply
    mailing = due_mailing(user)

    start(mailing)

    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert count_states(session, get_only_run(session)) == {"pending": 3}
    assert session.scalars(select(Suppression)).all() == []


def test_a_client_deleted_while_their_letter_is_deferred_is_not_mailed(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    deleted, _ = create_clients(user, 2)
    smtp.rcpt_replies[deleted.email] = "451 later"
    start(due_mailing(user))
    smtp.rcpt_replies.clear()
    session.execute(delete(Client).where(Client.id == deleted.id))

    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 1, "cancelled": 1}
    assert deleted.email not in smtp.per_address()


def test_a_deferred_window_is_recorded_in_a_few_statements(
    app: Flask, session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    for client in create_clients(user, 40):
        smtp.rcpt_replies[client.email] = "451 4.7.1 greylisted"
    updates: list[str] = []

    def collect(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("UPDATE deliveries SET state"):
            updates.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", collect)
    try:
        start(due_mailing(user))
    finally:
        event.remove(engine, "before_cursor_execute", collect)

    assert count_states(session, get_only_run(session)) == {"deferred": 40}
    assert len(updates) <= 8, "one for the claim and one for the results of each window"
