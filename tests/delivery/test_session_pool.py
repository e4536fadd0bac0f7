"""Sessions stay open between windows; servers may be slow to open one, or limit their number."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from skymailing.delivery.routing import routes
from skymailing.delivery.routing.session_pool import SessionPool
from tests.delivery.conftest import ServeFrom
from tests.delivery.handing import MemoryJournal
from tests.faults.sink import Sink, Stage, Turn

OPENING = 0.4  # seconds


@pytest.fixture
def pool(app: Flask, monkeypatch: pytest.MonkeyPatch, serve_from: ServeFrom) -> Iterator[SessionPool]:
    """A pool with a target of five sessions."""
    impatient = replace(app.config["ENGINE"], window_seconds=0.1, session_idle_seconds=1.0)
    monkeypatch.setitem(app.config, "ENGINE", impatient)
    with app.app_context():
        pool = SessionPool(routes.PRIMARY, 20)
        pool.concurrency.target = 5
        yield pool
        pool.disconnect()


def test_slow_sessions_are_opened_one_per_window_and_stay_open(
    pool: SessionPool, serve_from: ServeFrom
) -> None:
    """With postscreen or a distant server, sessions that are already open continue to send."""

    def delay_greeting(turn: Turn) -> None:
        if turn.stage is Stage.GREETING:
            time.sleep(OPENING)

    counts = []
    with Sink(delay_greeting) as sink:
        serve_from(sink.port)
        for _ in range(7):
            begun = time.monotonic()
            counts.append(len(pool.connect("b@sky.example", MemoryJournal())))
            assert time.monotonic() - begun < 3 * OPENING, "letters do not wait for all sessions"

        assert counts == [1, 2, 3, 4, 5, 5, 5]
        assert sink.connections == 5, "no open session was dropped while others were being opened"


def test_the_servers_session_limit_is_not_tested_again_in_every_window(
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

        assert sink.connections == 3
