"""Test that a mailing reaches the right clients on time, with real jobs, databases and mail servers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import time_machine
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import hints
from skymailing.clock import utcnow
from skymailing.delivery import plan, send
from skymailing.models import (
    Attempt,
    Audience,
    MailingState,
    Outcome,
    Periodicity,
    Run,
    RunState,
    User,
)
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.support.factories import ClientFactory, SuppressionFactory, create_clients, due_mailing
from tests.support.servers import RedisServer, SmtpServer


def test_every_client_gets_their_own_letter(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    clients = create_clients(user, 30)
    create_clients(User(email="x@example.com", password_hash="", timezone="UTC"), 0)
    mailing = due_mailing(user)

    start(mailing)

    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 30}
    assert run.state is RunState.FINISHED
    assert run.finished_at is not None
    session.refresh(mailing)
    assert mailing.state is MailingState.FINISHED
    assert smtp.per_address() == {client.email: 1 for client in clients}
    check_ledger(session, run, smtp.letters)
    letter = next(letter for letter in smtp.letters if letter.to == clients[0].email)
    assert letter.parsed["To"].addresses[0].addr_spec == clients[0].email
    assert letter.parsed["Reply-To"] == user.email
    assert clients[0].full_name in letter.text
    assert clients[0].full_name in letter.html
    assert letter.parsed["List-Unsubscribe-Post"] is None, "the service's URL is not https"
    assert letter.parsed["Feedback-ID"] == f"m{mailing.id}:u{user.id}:mailing:skymailing"
    for other in clients[1:]:
        assert other.email.encode() not in letter.content


def test_every_attempt_is_logged_with_the_servers_reply(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    start(due_mailing(user))

    attempt = session.execute(select(Attempt)).scalar_one()
    assert (attempt.outcome, attempt.code, attempt.answer) == (Outcome.SENT, 250, "2.0.0 queued as 1")
    assert attempt.delivery.email == client.email
    assert attempt.owner_id == user.id
    assert attempt.route == "primary"


def test_only_chosen_clients_are_mailed(session: Session, user: User, start: Start, smtp: SmtpServer) -> None:
    chosen, _ = create_clients(user, 2)
    mailing = due_mailing(user, audience=Audience.SELECTED)
    from skymailing.models import mailing_clients

    session.execute(mailing_clients.insert(), [{"mailing_id": mailing.id, "client_id": chosen.id}])

    start(mailing)

    assert smtp.per_address() == {chosen.email: 1}


def test_other_owners_clients_are_never_mailed(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    ClientFactory.create()
    client = ClientFactory.create(owner=user)

    start(due_mailing(user))

    assert smtp.per_address() == {client.email: 1}


def test_a_suppressed_address_has_a_delivery_but_gets_no_letter(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    suppressed, other = create_clients(user, 2)
    SuppressionFactory.create(owner_id=user.id, email_key=suppressed.email_key)

    start(due_mailing(user))

    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 1, "suppressed": 1}
    assert smtp.per_address() == {other.email: 1}


def test_a_client_who_unsubscribes_during_a_run_gets_no_letter(
    app: Flask, session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    unsubscribed, _ = create_clients(user, 2)
    mailing = due_mailing(user)
    with app.app_context():
        plan.start_due_run(mailing.id, utcnow())
    SuppressionFactory.create(owner_id=user.id, email_key=unsubscribed.email_key)

    with app.app_context():
        send.send_slice(get_only_run(session).id, lambda _seconds: False)

    assert count_states(session, get_only_run(session)) == {"sent": 1, "suppressed": 1}
    assert unsubscribed.email not in smtp.per_address()
    check_ledger(session, get_only_run(session), smtp.letters)


def test_another_owners_suppression_does_not_count(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    stranger = ClientFactory.create().owner
    SuppressionFactory.create(owner_id=stranger.id, email_key=client.email_key)

    start(due_mailing(user))

    assert smtp.per_address() == {client.email: 1}


def test_nothing_is_sent_after_the_end_and_open_deliveries_expire(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    deferred, accepted = create_clients(user, 2)
    smtp.rcpt_replies[deferred.email] = "451 later"
    mailing = due_mailing(user, ends_at=utcnow() + timedelta(hours=1))
    start(mailing)
    smtp.rcpt_replies.clear()

    with time_machine.travel(utcnow() + timedelta(hours=1, minutes=1)):
        sweep()

    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 1, "expired": 1}
    assert run.state is RunState.FINISHED
    session.refresh(mailing)
    assert mailing.state is MailingState.FINISHED
    assert set(smtp.per_address()) == {accepted.email}


def test_a_mailing_that_ended_before_it_was_sent_shows_the_reason(
    session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 2)
    mailing = due_mailing(user, ends_at=utcnow() - timedelta(seconds=1))

    sweep()

    session.refresh(mailing)
    assert (mailing.state, mailing.state_reason) == (MailingState.FINISHED, "window-over")
    assert not smtp.letters
    assert session.scalar(select(func.count()).select_from(Run)) == 0


def test_a_mailing_without_clients_has_an_empty_run_and_a_reason(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    once = due_mailing(user)
    daily = due_mailing(user, periodicity=Periodicity.DAILY, ends_at=utcnow() + timedelta(days=9))

    for mailing in (once, daily):
        start(mailing)
        session.refresh(mailing)

    assert (once.state, once.state_reason) == (MailingState.FINISHED, "no-clients")
    assert daily.state is MailingState.SCHEDULED, "there may be clients tomorrow"
    assert daily.next_run_at is not None
    assert daily.next_run_at > utcnow()
    runs = session.scalars(select(Run)).all()
    assert [(run.planned, run.state) for run in runs] == [(0, RunState.FINISHED)] * 2
    assert not smtp.letters


def test_the_sweep_makes_up_for_a_missed_start(
    session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 3)
    due_mailing(user, next_run_at=utcnow() - timedelta(hours=2))

    sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 3}


def test_a_future_mailing_is_not_sent_early(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 1)
    mailing = due_mailing(user, next_run_at=utcnow() + timedelta(minutes=5))

    start(mailing)
    sweep()

    assert not smtp.letters
    session.refresh(mailing)
    assert mailing.state is MailingState.SCHEDULED


def test_many_simultaneous_starts_create_one_run(
    app: Flask, session: Session, user: User, work: Work, smtp: SmtpServer
) -> None:
    clients = create_clients(user, 20)
    mailing = due_mailing(user)

    def start_run(_: int) -> int | None:
        with app.app_context():
            return plan.start_due_run(mailing.id, utcnow())

    with ThreadPoolExecutor(10) as pool:
        runs = [run for run in pool.map(start_run, range(50)) if run is not None]
    assert len(runs) == 1
    with app.app_context():
        hints.hint_run(runs[0])
    work()

    assert smtp.per_address() == {client.email: 1 for client in clients}


def test_a_run_sends_the_content_that_it_started_with(
    app: Flask, session: Session, user: User, work: Work, smtp: SmtpServer
) -> None:
    ClientFactory.create(owner=user)
    mailing = due_mailing(user)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        mailing.message.subject = "changed later"
        session.flush()
        assert run_id is not None
        hints.hint_run(run_id)
    work()

    assert smtp.letters[0].parsed["Subject"].startswith("Привет")


def test_nothing_is_lost_when_redis_is_emptied(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer, redis_server: RedisServer
) -> None:
    create_clients(user, 3)
    mailing = due_mailing(user)
    redis_server.client.flushall()

    sweep()

    session.refresh(mailing)
    assert mailing.state is MailingState.FINISHED
    assert len(smtp.letters) == 3


def test_a_client_who_has_unsubscribed_does_not_end_the_slice(
    app: Flask, session: Session, user: User, smtp: SmtpServer
) -> None:
    """A window with fewer letters than wanted is the last one only if no others are pending."""
    clients = create_clients(user, 100)
    mailing = due_mailing(user)
    with app.app_context():
        plan.start_due_run(mailing.id, utcnow())
    SuppressionFactory.create(owner_id=user.id, email_key=clients[0].email_key)
    with app.app_context():
        send.send_slice(get_only_run(session).id, lambda _seconds: False)
    assert count_states(session, get_only_run(session)) == {"sent": 99, "suppressed": 1}
    assert len(smtp.letters) == 99
