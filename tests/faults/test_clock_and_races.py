"""Test clock jumps (fault 26) and simultaneous starts (fault 27)."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import hints, queue, schedule
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.models import Mailing, OnUnknown, Run, RunState, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.conftest import Engine
from tests.faults.sink import Sink, Stage, Turn
from tests.faults.workers import add_clients, live_run, start_process, wait_for_letters
from tests.processes.service import wait_until
from tests.support.factories import due_mailing
from tests.support.servers import RedisServer, SmtpServer

RECIPIENTS = 200
DAY = timedelta(days=1)


@pytest.fixture
def long_mailing(session: Session, user: User) -> Mailing:
    """Create a due mailing that lasts longer than the clock jumps."""
    add_clients(session, user, RECIPIENTS)
    return due_mailing(user, ends_at=utcnow() + timedelta(days=5), on_unknown=OnUnknown.HOLD)


def delay_reply(turn: Turn) -> None:
    if turn.stage is Stage.DOT:
        time.sleep(0.02)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(delay_reply) as sink:
        yield sink


@pytest.mark.one_engine  # the time comes from Python, even in statements
@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])
def test_26_a_clock_jump_in_the_sweep_does_not_take_letters_from_a_running_worker(
    app: Flask,
    environment: dict[str, str],
    session: Session,
    long_mailing: Mailing,
    sink: Sink,
    jump: timedelta,
) -> None:
    """Only the sweep uses the new time, so running workers' leases seem to have expired or just started."""
    worker_environment = environment | {"MAIL_PORT": str(sink.port), "MAIL_MAX_CONNECTIONS": "4"}
    with live_run(app, worker_environment, session, long_mailing, count=1) as run:
        for share in (0.1, 0.3, 0.6):
            wait_for_letters(sink, share * RECIPIENTS)
            with time_machine.travel(utcnow() + jump):
                run.sweep()
        run.finish()

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert set(sink.per_address().values()) == {1}
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.one_engine
def test_26_no_letters_are_lost_if_the_clock_is_a_day_ahead_for_a_while(
    session: Session, user: User, engine: Engine
) -> None:
    """Test with a deferred letter, an open breaker and a mailing that is about to start."""
    add_clients(session, user, 6)
    refusals = ["451 4.7.1 greylisted", "421 4.3.2 busy"]

    def refuse(turn: Turn) -> None:
        if turn.stage is Stage.RCPT and refusals:
            turn.say(refusals.pop(0))

    with Sink(refuse) as sink:
        engine.use_server(sink.port)
        mailing = due_mailing(user, ends_at=utcnow() + timedelta(days=5))
        engine.start(mailing)
        engine.pass_time(days=1)
        engine.pass_time(days=-1)
        engine.pass_time(minutes=10)
        engine.finish()

    assert count_states(session, get_only_run(session)) == {"sent": 6}
    assert set(sink.per_address().values()) == {1}
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.one_engine
def test_26_a_breaker_opened_in_the_future_closes_soon_after_the_clock_is_corrected(
    session: Session, user: User, engine: Engine
) -> None:
    add_clients(session, user, 3)

    def refuse_until_repaired(turn: Turn) -> None:
        if turn.stage is Stage.GREETING and not is_repaired.is_set():
            turn.say("421 4.3.2 busy")

    is_repaired = threading.Event()
    with Sink(refuse_until_repaired) as sink:
        engine.use_server(sink.port)
        mailing = due_mailing(user, ends_at=utcnow() + timedelta(days=5))
        with time_machine.travel(utcnow() + DAY):
            engine.start(mailing)
        engine.pass_time(days=1)
        for _ in range(6):
            engine.sweep()
        is_repaired.set()
        engine.pass_time(days=-1)
        engine.pass_time(minutes=20)

    assert count_states(session, get_only_run(session)) == {"sent": 3}


def test_26_sweeps_continue_when_the_clock_is_set_back(app: Flask, session: Session) -> None:
    with app.app_context():
        with time_machine.travel(utcnow() + DAY):
            schedule.make_scheduler().enqueue_jobs()
        for name in (queue.SYSTEM, queue.DELIVERY):
            queue.get_queue(name).empty()  # type: ignore[no-untyped-call]  # not typed by rq

        schedule.make_scheduler().enqueue_jobs()
        assert queue.get_queue(queue.SYSTEM).count == 1, "the sweep is due now, not in a day"


def test_27_two_schedulers_and_fifty_simultaneous_starts_create_one_run(
    app: Flask,
    environment: dict[str, str],
    session: Session,
    user: User,
    smtp: SmtpServer,
    redis_server: RedisServer,
) -> None:
    add_clients(session, user, 100)
    start_at = utcnow() + timedelta(seconds=3)
    mailing = due_mailing(user, next_run_at=start_at)
    with app.app_context():
        schedule.schedule_start(mailing.id, start_at)

    def start_run(_: int) -> int | None:
        with app.app_context():
            queue.enqueue("start_mailing", mailing.id)
            return plan.start_due_run(mailing.id, utcnow())

    with ExitStack() as stack:
        for _ in range(2):
            process = start_process(environment, "scheduler")
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        run = stack.enter_context(live_run(app, environment, session, mailing))
        wait_until(lambda: utcnow() >= start_at, "the start is due")
        with ThreadPoolExecutor(10) as pool:
            started = [run_id for run_id in pool.map(start_run, range(50)) if run_id is not None]
        with app.app_context():
            for run_id in started:
                hints.hint_run(run_id)
        wait_until(lambda: session.scalar(select(func.count()).select_from(Run)), "the run is planned")
        run.finish()

    assert len(started) <= 1
    assert get_only_run(session).state is RunState.FINISHED
    assert count_states(session, get_only_run(session)) == {"sent": 100}
    assert set(smtp.per_address().values()) == {1}
    check_ledger(session, get_only_run(session), smtp.letters)


def test_27_several_workers_share_a_run(
    app: Flask, environment: dict[str, str], session: Session, long_mailing: Mailing, sink: Sink
) -> None:
    worker_environment = environment | {
        "MAIL_PORT": str(sink.port),
        "WORKERS": "3",
        "MAIL_MAX_CONNECTIONS": "2",
    }
    with live_run(app, worker_environment, session, long_mailing, count=3) as run:
        wait_until(lambda: sink.letters, "letters arrive")
        run.finish()

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert set(sink.per_address().values()) == {1}
    check_ledger(session, get_only_run(session), sink.letters)
