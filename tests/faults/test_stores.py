"""Test that runs survive failures of Redis and the databases (faults 23 to 25)."""

import resource
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.models import Mailing, OnUnknown, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.conftest import WatchPages
from tests.faults.locks import lock_deliveries
from tests.faults.postgres import restart_immediately
from tests.faults.sink import Sink, Stage, Turn
from tests.faults.workers import add_clients, live_run, run_workers, wait_for_letters
from tests.processes.service import wait_until
from tests.support.factories import due_mailing
from tests.support.forked import Forked
from tests.support.servers import RedisServer

RECIPIENTS = 600


def delay_reply(turn: Turn) -> None:
    """Delay the final reply for each letter, as a distant server does."""
    if turn.stage is Stage.DOT:
        time.sleep(0.01)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(delay_reply) as sink:
        yield sink


@pytest.fixture
def worker_environment(environment: dict[str, str], sink: Sink) -> dict[str, str]:
    return environment | {"MAIL_PORT": str(sink.port), "MAIL_MAX_CONNECTIONS": "3"}


@pytest.fixture
def mailing(session: Session, user: User) -> Mailing:
    add_clients(session, user, RECIPIENTS)
    return due_mailing(user, on_unknown=OnUnknown.HOLD)


def check_all_sent_once(session: Session, sink: Sink) -> None:
    run = get_only_run(session)
    assert count_states(session, run) == {"sent": RECIPIENTS}
    assert set(sink.per_address().values()) == {1}
    check_ledger(session, run, sink.letters)


@pytest.mark.one_engine
def test_23_an_emptied_redis_neither_loses_nor_repeats_a_letter(
    app: Flask,
    worker_environment: dict[str, str],
    session: Session,
    sink: Sink,
    mailing: Mailing,
    redis_server: RedisServer,
    watch_pages: WatchPages,
) -> None:
    with live_run(app, worker_environment, session, mailing) as run, watch_pages(mailing):
        for share in (0.1, 0.3, 0.6):
            wait_for_letters(sink, share * RECIPIENTS)
            redis_server.client.flushall()
            run.sweep()
        run.finish()

    check_all_sent_once(session, sink)


@pytest.mark.one_engine
def test_23_sending_continues_after_redis_has_been_unavailable(
    app: Flask,
    worker_environment: dict[str, str],
    session: Session,
    sink: Sink,
    mailing: Mailing,
    redis_server: RedisServer,
    watch_pages: WatchPages,
) -> None:
    with live_run(app, worker_environment, session, mailing) as run:
        wait_for_letters(sink, RECIPIENTS // 10)
        processes = list(run.workers)
        with watch_pages(mailing):
            redis_server.stop()
            try:
                time.sleep(4)
                run.sweep()
            finally:
                redis_server.start()
        run.finish()
        assert run.workers == processes, "no worker has ended"

    check_all_sent_once(session, sink)


@pytest.mark.soak
def test_23_workers_survive_a_minute_without_redis_and_stop_on_request(
    app: Flask, worker_environment: dict[str, str], session: Session, redis_server: RedisServer
) -> None:
    with run_workers(worker_environment, 2) as workers:
        with app.app_context():
            wait_until(lambda: queue.count_workers() == 2, "both workers are connected")
        redis_server.stop()
        try:
            time.sleep(70)
            assert [worker.poll() for worker in workers] == [None, None]
            workers[0].terminate()
            assert workers[0].wait(60) == 0
        finally:
            redis_server.start()
        with app.app_context():
            wait_until(lambda: queue.count_workers() == 1, "the other worker is connected again")


@pytest.mark.only_on("postgresql", reason="a crash of the process that has SQLite open is in `test_kill`")
def test_24_a_database_crash_neither_loses_nor_repeats_a_letter(
    app: Flask,
    worker_environment: dict[str, str],
    session: Session,
    sink: Sink,
    mailing: Mailing,
    browser: FlaskClient,
) -> None:
    with live_run(app, worker_environment, session, mailing) as run:
        for share in (0.1, 0.4, 0.7):
            wait_for_letters(sink, share * RECIPIENTS)
            restart_immediately(session)
            assert browser.get(f"/mailings/{mailing.id}").status_code == 200
            run.sweep()
        run.finish()

    check_all_sent_once(session, sink)


@pytest.mark.parametrize(
    "seconds", [pytest.param(6, id="short"), pytest.param(75, id="long", marks=pytest.mark.soak)]
)
def test_25_a_locked_ledger_only_delays_letters(
    app: Flask,
    worker_environment: dict[str, str],
    session: Session,
    sink: Sink,
    mailing: Mailing,
    watch_pages: WatchPages,
    seconds: float,
) -> None:
    lock = lock_deliveries(session)
    with live_run(app, worker_environment, session, mailing) as run:
        wait_for_letters(sink, RECIPIENTS // 10)
        with watch_pages(mailing):
            lock.acquire()
            time.sleep(seconds)
            lock.release()
        run.finish(120)

    check_all_sent_once(session, sink)


def test_25_a_full_disk_stops_sending_until_there_is_space(
    app: Flask,
    worker_environment: dict[str, str],
    session: Session,
    sink: Sink,
    mailing: Mailing,
    watch_pages: WatchPages,
) -> None:
    """The workers' disk contains their journals and, with SQLite, the database."""
    with live_run(app, worker_environment, session, mailing) as run:
        wait_for_letters(sink, RECIPIENTS // 10)
        with watch_pages(mailing):
            for worker in run.workers:
                limit_file_size(worker, 4096)
            time.sleep(5)
            stored = len(sink.letters)
            time.sleep(1)
            assert len(sink.letters) == stored < RECIPIENTS, "a letter that cannot be journaled is not sent"
        for worker in run.workers:
            limit_file_size(worker, resource.RLIM_INFINITY)
        run.finish(120)

    run_row = get_only_run(session)
    counts = count_states(session, run_row)
    assert counts.pop("unknown", 0) <= 2 * 3, "only letters between the dot and the reply"
    assert set(counts) == {"sent"}
    assert set(sink.per_address().values()) == {1}
    check_ledger(session, run_row, sink.letters)


def limit_file_size(worker: Forked, size: int) -> None:
    """Limit a process's files to `size` bytes, which to the process looks like a full disk."""
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
