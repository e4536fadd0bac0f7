"""Test that workers share the sessions that a mail server allows, and leave one for account letters."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import hints, jobs, queue, turns
from skymailing.clock import utcnow
from skymailing.delivery.dispatcher import get_dispatcher
from skymailing.delivery.routing import routes, session_pool
from skymailing.delivery.routing.concurrency import SessionLimits
from skymailing.delivery.routing.session_pool import NoSession, SessionPool
from skymailing.models import BreakerState, Route, User
from skymailing.outbox import tasks as outbox
from skymailing.worker import make_worker
from tests.delivery.conftest import ServeFrom, Work
from tests.delivery.handover import MemoryJournal
from tests.delivery.ledger import count_states, get_only_run
from tests.faults.sink import Sink, allow_sessions
from tests.outbox.conftest import add_letter
from tests.processes.service import wait_until
from tests.support.factories import create_clients, due_mailing

pytestmark = pytest.mark.one_engine

NewPool = Callable[[str], SessionPool]


@pytest.fixture
def new_pool(app: Flask, session: Session) -> Iterator[NewPool]:
    pools: list[SessionPool] = []

    def create_pool(holder: str) -> SessionPool:
        pools.append(SessionPool(routes.PRIMARY, SessionLimits(20, 20), holder))
        return pools[-1]

    with app.app_context():
        yield create_pool
        for pool in pools:
            pool.disconnect()


def connect(pool: SessionPool, is_urgent: bool = False) -> int:
    return len(pool.connect("b@sky.example", MemoryJournal(), is_urgent))


def test_a_worker_without_a_session_leaves_the_run_to_the_one_that_has_it(
    app: Flask,
    session: Session,
    user: User,
    serve_from: ServeFrom,
    new_pool: NewPool,
    work: Work,
    sweep: Work,
) -> None:
    create_clients(user, 30)
    due_mailing(user)
    with Sink(allow_sessions(1)) as sink:
        serve_from(sink.port)
        other = new_pool("other")
        assert connect(other) == 1
        sweep()
        assert count_states(session, get_only_run(session)) == {"pending": 30}
        assert session.scalars(select(Route)).all() == [], "no fault was reported"
        assert turns.peek(), "the run waits"
        assert not queue.is_waiting(queue.DELIVERY), "but no job, which would find no session again"
        assert sink.connections == 2

        other.disconnect()
        hints.hint_turn(0)
        work()
        assert count_states(session, get_only_run(session)) == {"sent": 30}


def test_the_last_session_that_is_released_wakes_a_worker(
    app: Flask, session: Session, user: User, serve_from: ServeFrom, new_pool: NewPool, sweep: Work
) -> None:
    create_clients(user, 3)
    due_mailing(user)
    with Sink(allow_sessions(1)) as sink:
        serve_from(sink.port)
        other = new_pool("other")
        connect(other)
        sweep()
        get_dispatcher().lanes._configured = {routes.PRIMARY: other}  # as if this were the other worker
        jobs.give_back_sessions()
        assert queue.is_waiting(queue.DELIVERY)
        assert not get_dispatcher().lanes.release(), "there are none left"


@pytest.mark.parametrize("reply", ["421 4.7.0 too many connections", "451 try again later", ""])
def test_a_released_session_can_be_used_by_another_worker(
    app: Flask, session: Session, serve_from: ServeFrom, new_pool: NewPool, reply: str
) -> None:
    with Sink(allow_sessions(1, reply)) as sink:
        serve_from(sink.port)
        first, second = new_pool("first"), new_pool("second")
        connect(first)
        with pytest.raises(NoSession):
            connect(second)
        first.disconnect()
        assert connect(second) == 1


def test_a_refused_password_is_a_fault_even_if_other_workers_have_sessions(
    app: Flask, session: Session, serve_from: ServeFrom, new_pool: NewPool
) -> None:
    with Sink(allow_sessions(1, "535 5.7.8 wrong password")) as sink:
        serve_from(sink.port)
        connect(new_pool("first"))
        second = new_pool("second")
        with pytest.raises(OSError, match="535"):
            connect(second)
        assert not second.budget.is_limited


def test_workers_may_open_the_first_session_at_the_same_time(
    app: Flask, session: Session, serve_from: ServeFrom, new_pool: NewPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refused worker cannot know about the other worker's session yet; this is not a fault either."""
    with Sink(allow_sessions(1)) as sink:
        serve_from(sink.port)
        first, second = new_pool("first"), new_pool("second")
        outcomes: list[Exception] = []

        def connect_second() -> None:
            with app.app_context():
                try:
                    connect(second)
                except (OSError, NoSession) as error:
                    outcomes.append(error)

        thread = threading.Thread(target=connect_second)
        note = first.budget.note

        def note_late(count: int) -> None:
            thread.start()
            wait_until(lambda: sink.connections > 2, "the second worker has been refused twice", 30)
            note(count)

        monkeypatch.setattr(first.budget, "note", note_late)
        connect(first)
        thread.join(30)
        assert [type(error) for error in outcomes] == [NoSession]


def test_a_server_that_refuses_every_worker_counts_as_faulty(
    app: Flask, session: Session, serve_from: ServeFrom, new_pool: NewPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server allowed a session before, but that limit is forgotten."""
    monkeypatch.setattr(session_pool, "MAX_WAIT", 0.2)
    with Sink(allow_sessions(1)) as sink:
        serve_from(sink.port)
        first, second = new_pool("first"), new_pool("second")
        connect(first)
        with pytest.raises(NoSession):
            connect(second)
        first.disconnect()
        sink.script = allow_sessions(0)
        with pytest.raises(OSError, match="421"):
            connect(second)
        assert not second.budget.request(0, 1).others
        assert not second.budget.is_limited


def test_an_account_letter_gets_the_session_of_a_mailing(
    app: Flask, session: Session, user: User, serve_from: ServeFrom, new_pool: NewPool
) -> None:
    add_letter(app, session, user, "password-changed")
    with Sink(allow_sessions(1)) as sink:
        serve_from(sink.port)
        other = new_pool("other")
        connect(other)

        def send_windows() -> None:
            with app.app_context(), suppress(NoSession):
                while True:
                    connect(other)
                    time.sleep(0.1)

        thread = threading.Thread(target=send_windows)
        thread.start()
        assert outbox.send_due_letters(utcnow()) == 1
        thread.join(30)
        assert not thread.is_alive()
    assert session.scalars(select(Route.state)).all() in ([], [BreakerState.CLOSED])


def test_an_account_letter_without_a_session_is_tried_again_soon(
    app: Flask,
    session: Session,
    user: User,
    serve_from: ServeFrom,
    new_pool: NewPool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_pool, "MAX_WAIT", 0.2)
    letter = add_letter(app, session, user, "password-changed")
    with Sink(allow_sessions(1)) as sink:
        serve_from(sink.port)
        connect(new_pool("other"))
        assert outbox.send_due_letters(utcnow()) == 0
    session.refresh(letter)
    assert (letter.attempts, letter.due_at <= utcnow() + timedelta(seconds=1)) == (0, True)
    assert queue.is_waiting(queue.SYSTEM)
    assert session.scalars(select(Route)).all() == []


def test_an_idle_worker_closes_its_sessions(
    app: Flask, session: Session, user: User, serve_from: ServeFrom
) -> None:
    create_clients(user, 3)
    mailing = due_mailing(user)
    with Sink() as sink, app.app_context():
        serve_from(sink.port)
        queue.enqueue("start_mailing", mailing.id)
        worker = make_worker()
        idle: list[int] = []

        def become_idle() -> None:
            idle.append(sink.open_sessions)
            jobs.give_back_sessions()
            worker._stop_requested = True
            queue.enqueue("wake_run", 0)

        worker.on_idle = 1, become_idle
        worker.work(logging_level="WARNING")
        worker.connection.connection_pool.disconnect()
        assert len(sink.letters) == 3
        assert idle[0] == 1
        wait_until(lambda: sink.open_sessions == 0, "the session is closed", 30)
