"""Test sessions that stay open between windows, servers that open them slowly, and session limits."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from skymailing.delivery.routing import routes
from skymailing.delivery.routing.concurrency import SessionLimits
from skymailing.delivery.routing.session_pool import SessionPool
from tests.delivery.conftest import ServeFrom
from tests.delivery.handover import MemoryJournal
from tests.faults.sink import Sink, Stage, Turn

# Sessions do not depend on the database.
pytestmark = pytest.mark.one_engine

OPENING_SECONDS = 0.4


@pytest.fixture
def pool(app: Flask, monkeypatch: pytest.MonkeyPatch, serve_from: ServeFrom) -> Iterator[SessionPool]:
    """Yield a pool with a target of five sessions."""
    short_times = replace(app.config["ENGINE"], window_seconds=0.1)
    monkeypatch.setitem(app.config, "ENGINE", short_times)
    with app.app_context():
        pool = SessionPool(routes.PRIMARY, SessionLimits(20, 20), "worker")
        pool.concurrency.target = 5
        yield pool
        pool.disconnect()


def test_slow_sessions_are_opened_in_one_group_per_window_and_stay_open(
    pool: SessionPool, serve_from: ServeFrom
) -> None:
    """Sessions that are already open must keep sending, for example with postscreen or a distant server."""

    def delay_greeting(turn: Turn) -> None:
        if turn.stage is Stage.GREETING:
            time.sleep(OPENING_SECONDS)

    counts = []
    with Sink(delay_greeting) as sink:
        serve_from(sink.port)
        for _ in range(7):
            start = time.monotonic()
            counts.append(len(pool.connect("b@sky.example", MemoryJournal())))
            assert time.monotonic() - start < 3 * OPENING_SECONDS, "letters do not wait for all sessions"

        assert counts == [1, 2, 4, 5, 5, 5, 5]
        assert sink.connections == 5, "no open session was dropped while others were being opened"


def test_the_servers_session_limit_is_not_probed_in_every_window(
    pool: SessionPool, serve_from: ServeFrom
) -> None:
    def refuse_third(turn: Turn) -> None:
        if turn.stage is Stage.GREETING and turn.connection > 2:
            turn.say("421 4.7.0 too many connections")

    with Sink(refuse_third) as sink:
        serve_from(sink.port)
        for _ in range(5):
            assert len(pool.connect("b@sky.example", MemoryJournal())) == 2
            pool.concurrency.target += 3  # as if letters had been accepted

        assert sink.connections == 4, "only once, and no more than the two that were open"
