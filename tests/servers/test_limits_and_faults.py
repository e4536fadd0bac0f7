"""Test the limits and faults of owners' mail servers, which only their owners notice."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import due, plan
from skymailing.delivery.dispatcher import close_dispatcher, get_dispatcher
from skymailing.delivery.routing import lanes, slow_servers
from skymailing.delivery.routing.concurrency import SessionLimits
from skymailing.delivery.routing.servers import COLUMNS, ServerAccess
from skymailing.delivery.routing.session_pool import NoSession, SessionPool
from skymailing.delivery.send import send_slice
from skymailing.models import (
    BreakerState,
    Mailing,
    Route,
    Run,
    SmtpServer,
    User,
)
from tests.delivery.handover import MemoryJournal
from tests.delivery.ledger import count_states
from tests.faults.sink import Sink, Stage, Turn
from tests.mailings.pages import get_main_text
from tests.servers.conftest import HOST, MakeServer, SendFrom
from tests.support.factories import UserFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer as Installation

Work = Callable[[], None]

pytestmark = pytest.mark.one_engine


def read_route(session: Session, name: str) -> Route | None:
    found = select(Route).where(Route.name == name).execution_options(populate_existing=True)
    return session.scalars(found).one_or_none()


def test_a_refused_password_stops_only_its_owner_and_is_explained(
    app: Flask,
    session: Session,
    user: User,
    browser: FlaskClient,
    sink: Sink,
    smtp: Installation,
    make_server: MakeServer,
    send_from: SendFrom,
) -> None:
    server = make_server(user, sink.port)

    def refuse(turn: Turn) -> None:
        if turn.stage is Stage.AUTH:
            turn.say("535 5.7.8 wrong password")

    sink.script = refuse
    run_id = send_from(user, server)
    route = read_route(session, server.route)
    assert route is not None
    assert route.state is BreakerState.OPEN
    assert count_states(session, session.get_one(Run, run_id)) == {"pending": 3}
    with app.app_context():
        assert due.find_runs(utcnow()) == [], "no worker connects until the pause is over"
    send_from(UserFactory.create(), None)
    assert len(smtp.letters) == 3
    primary = read_route(session, "primary")
    assert primary is None or primary.state is BreakerState.CLOSED
    mailing = session.scalars(select(Mailing).where(Mailing.owner_id == user.id)).one()
    shown = get_main_text(browser.get(f"/mailings/{mailing.id}"))
    assert "has not accepted emails since" in shown
    assert "535 5.7.8 wrong password" in shown
    sink.script = lambda _turn: None
    with app.app_context(), time_machine.travel(utcnow() + timedelta(minutes=30)):
        send_slice(run_id, lambda _elapsed: False)
    assert len(sink.letters) == 3


def test_a_server_that_does_not_respond_is_shut_off_at_the_first_fault(
    session: Session, user: User, sink: Sink, make_server: MakeServer, send_from: SendFrom
) -> None:
    server = make_server(user, sink.port)
    with Sink() as closed:
        server.port = closed.port
    session.flush()
    send_from(user, server)
    route = read_route(session, server.route)
    assert route is not None
    assert (route.state, route.faults_in_a_row) == (BreakerState.OPEN, 1)


def test_rate_and_sessions_of_a_server_are_limits_for_all_workers(
    app: Flask, session: Session, user: User, sink: Sink, make_server: MakeServer, send_from: SendFrom
) -> None:
    server = make_server(user, sink.port, rate_per_minute=120, sessions=1)
    start = time.monotonic()
    send_from(user, server, clients=9)
    assert len(sink.letters) == 9
    assert time.monotonic() - start > 2, "two letters per second, and twice as many when a second begins"
    assert sink.connections == 1
    with app.app_context():
        row = session.execute(select(*COLUMNS).where(SmtpServer.id == server.id)).one()
        access = ServerAccess.of(row, server.id)
        assert len(get_dispatcher().lanes.use(server.route, access)) == 1
        other = SessionPool(server.route, SessionLimits(20, 20), "another worker", access)
        with pytest.raises(NoSession):
            other.connect("news@shop.example", MemoryJournal())
        assert sink.connections == 1


def test_a_worker_keeps_few_lanes_and_few_sessions(
    app: Flask,
    session: Session,
    sink: Sink,
    make_server: MakeServer,
    send_from: SendFrom,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "MAX_LANES", 3)
    monkeypatch.setitem(app.config, "MAIL_MAX_CONNECTIONS", 2)
    with app.app_context():
        close_dispatcher()
        for _ in range(5):
            owner = UserFactory.create()
            send_from(owner, make_server(owner, sink.port), clients=1)
            open_pools = [pool for pool in get_dispatcher().lanes if len(pool)]
            assert sum(map(len, open_pools)) <= 2
        assert len(get_dispatcher().lanes._servers) == 3
    assert len(sink.letters) == 5


def test_slow_servers_occupy_one_worker_only(
    app: Flask,
    session: Session,
    user: User,
    sink: Sink,
    make_server: MakeServer,
    send_from: SendFrom,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slow_servers, "SLOW_SECONDS", 0.0)
    server = make_server(user, sink.port)
    run_id = send_from(user, server)
    assert len(sink.letters) == 3
    create_clients(user, 1)
    with app.app_context():
        assert slow_servers.is_slow(server.route)
        assert not slow_servers.is_slow("server-999")
        assert slow_servers.begin("another worker")
        again = due_mailing(user, sender_id=session.scalars(select(Mailing.sender_id)).first())
        run_id = plan.start_due_run(again.id, utcnow()) or 0
        assert not send_slice(run_id, lambda _elapsed: False)
        assert len(sink.letters) == 3, "another worker waits for a slow server"
        slow_servers.end("another worker")
        send_slice(run_id, lambda _elapsed: False)
    assert len(sink.letters) == 7


def test_a_private_address_is_rejected_even_while_sending(
    session: Session,
    user: User,
    app: Flask,
    sink: Sink,
    make_server: MakeServer,
    send_from: SendFrom,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.config, "MAIL_SERVERS_PRIVATE_NETWORKS", ())
    server = make_server(user, sink.port)
    send_from(user, server)
    assert sink.connections == 0
    route = read_route(session, server.route)
    assert route is not None
    assert route.last_fault == f"{HOST} has no public address"
    common = make_server(None, sink.port)
    send_from(UserFactory.create(), common)
    assert len(sink.letters) == 3, "operators may offer a server in a private network"
