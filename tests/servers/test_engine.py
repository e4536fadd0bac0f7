"""Test runs through owners' mail servers: their route and envelope, changes, and older workers."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.delivery.send import send_slice
from skymailing.extensions import db
from skymailing.mailings.forecast import estimate_rate
from skymailing.models import (
    Attempt,
    Mailing,
    MailingState,
    RunState,
    User,
)
from tests.delivery.ledger import count_states, get_only_run
from tests.faults.sink import Sink, Stage
from tests.mailings.pages import get_main_text
from tests.servers.conftest import MakeSender, MakeServer, SendFrom
from tests.support.factories import MailingFactory, UserFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer as Installation
from tests.support.statements import record_statements

Work = Callable[[], None]
OLD_PLAN = """
    INSERT INTO runs (mailing_id, uuid, scheduled_for, state, planned, started_at, subject, format, body,
    sender_name, reply_to) VALUES (:mailing, '00000000000000000000000000000000', :now, 'planned', 0, :now, '',
    'text', '', '', '')
"""


def test_a_run_is_sent_through_its_senders_server(
    session: Session, user: User, sink: Sink, smtp: Installation, make_server: MakeServer, send_from: SendFrom
) -> None:
    server = make_server(user, sink.port)
    senders: list[str] = []
    sink.script = lambda turn: senders.append(turn.line) if turn.stage is Stage.MAIL else None
    send_from(user, server)
    run = get_only_run(session)
    assert (run.state, run.server_id) == (RunState.FINISHED, server.id)
    assert count_states(session, run) == {"sent": 3}
    assert len(sink.letters) == 3
    assert smtp.letters == []
    assert set(session.scalars(select(Attempt.route))) == {server.route}
    assert set(senders) == {"MAIL FROM:<news@shop.example>"}
    send_from(UserFactory.create(), None)
    assert len(smtp.letters) == 3, "others still use the installation's server"


def test_an_older_worker_never_sends_a_run_with_an_owners_server(
    app: Flask, session: Session, user: User, make_server: MakeServer, make_sender: MakeSender
) -> None:
    create_clients(user, 1)
    sender = make_sender(user, make_server(user, 587))
    with app.app_context():
        run_id = plan.start_due_run(due_mailing(user, sender_id=sender.id).id, utcnow())
        planned = due_mailing(user, sender_id=sender.id)
        values = {"mailing": planned.id, "now": "2026-11-29 00:00:00+00:00"}
        with db.engine.connect() as connection:  # with the statements of the version before servers
            found = connection.scalars(text("SELECT id FROM runs WHERE state IN ('planned', 'sending')"))
            assert found.all() == [], "it finds no such run"
            connection.rollback()
            with pytest.raises(IntegrityError):  # nor does it reopen one
                connection.execute(text(f"UPDATE runs SET state = 'sending' WHERE id = {run_id}"))
            connection.rollback()
            with pytest.raises(DBAPIError, match="planned with the mail server"):  # nor plan one
                connection.execute(text(OLD_PLAN), values)
        assert plan.start_due_run(planned.id, utcnow()) is not None, "a worker of this version can"


@pytest.mark.one_engine
def test_a_server_needs_no_query_per_letter_or_window(
    app: Flask, session: Session, user: User, sink: Sink, make_server: MakeServer, make_sender: MakeSender
) -> None:
    create_clients(user, 5)
    own = make_sender(user, make_server(user, sink.port)).id
    counts = []
    for sender_id in (None, own, None, own):  # the first two runs connect
        mailing = due_mailing(user, sender_id=sender_id)
        with app.app_context():
            run_id = plan.start_due_run(mailing.id, utcnow())
            assert run_id is not None
            with record_statements() as statements:
                send_slice(run_id, lambda _elapsed: False)
        counts.append(len(statements))
    assert len(sink.letters) == 10
    assert counts[3] - counts[2] <= 2, "the key that signs is looked up once per run"


@pytest.mark.one_engine
def test_changed_settings_apply_to_the_next_window(
    app: Flask, session: Session, user: User, sink: Sink, make_server: MakeServer, send_from: SendFrom
) -> None:
    server = make_server(user, sink.port)
    send_from(user, server)
    with Sink(tls=sink.tls, extensions=sink.extensions) as moved:
        server.port = moved.port
        session.flush()
        mailing = due_mailing(user, sender_id=session.scalars(select(Mailing.sender_id)).first())
        with app.app_context():
            run_id = plan.start_due_run(mailing.id, utcnow())
            assert run_id is not None
            send_slice(run_id, lambda _elapsed: False)
            assert (len(sink.letters), len(moved.letters)) == (3, 3)
            close_dispatcher()


@pytest.mark.one_engine
def test_a_run_whose_server_was_deleted_is_paused_instead_of_using_another(
    app: Flask,
    session: Session,
    user: User,
    browser: FlaskClient,
    sink: Sink,
    smtp: Installation,
    make_server: MakeServer,
    make_sender: MakeSender,
) -> None:
    create_clients(user, 1)
    server, other = make_server(user, sink.port), make_server(user, sink.port)
    sender = make_sender(user, server)
    mailing = due_mailing(user, sender_id=sender.id)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        assert run_id is not None
    sender.server_id = other.id
    session.flush()
    assert "is being sent through this server" in browser.post(f"/senders/servers/{server.id}/delete").text
    session.delete(server)  # as if a restore had lost it
    session.flush()
    with app.app_context():
        send_slice(run_id, lambda _elapsed: False)
    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert (len(sink.letters), len(smtp.letters)) == (0, 0)
    assert "has been deleted" in get_main_text(browser.get(f"/mailings/{mailing.id}"))


@pytest.mark.one_engine
def test_a_mailing_waits_for_the_test_and_is_paused_if_it_fails(
    app: Flask,
    session: Session,
    user: User,
    browser: FlaskClient,
    make_server: MakeServer,
    make_sender: MakeSender,
) -> None:
    create_clients(user, 1)
    server = make_server(user, 587, has_passed=False, test_requested_at=utcnow())
    mailing = due_mailing(user, sender_id=make_sender(user, server).id)
    with app.app_context():
        assert plan.start_due_run(mailing.id, utcnow()) is None
        session.refresh(mailing)
        assert mailing.next_run_at is not None, "it still waits"
        server.test_requested_at = None
        session.flush()
        assert plan.start_due_run(mailing.id, utcnow()) is None
    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert "mail server Shop does not work" in get_main_text(browser.get(f"/mailings/{mailing.id}"))
    draft = MailingFactory.create(owner=user, sender_id=mailing.sender_id)
    response = browser.post(f"/mailings/{draft.id}/start", follow_redirects=True)
    assert "The mail server of this sender does not work" in response.text


@pytest.mark.one_engine
def test_the_forecast_uses_the_servers_rate(
    app: Flask, user: User, make_server: MakeServer, make_sender: MakeSender
) -> None:
    server = make_server(user, 587, rate_per_minute=30)
    mailing = MailingFactory.create(owner=user, sender_id=make_sender(user, server).id)
    with app.app_context():
        found = db.session.get_one(Mailing, mailing.id)
        assert found.sender is not None
        assert estimate_rate(found.sender.server) == 0.5
