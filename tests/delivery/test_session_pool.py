"""Sessions kept from window to window, with servers that take their time to open one, or have enough."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from skymailing.delivery.routing import routes
from skymailing.delivery.routing.session_pool import Lane
from tests.delivery.conftest import ServeFrom
from tests.delivery.handing import Notes
from tests.faults.sink import Sink, Stage, Turn

OPENING = 0.4  # seconds


@pytest.fixture
def lane(app: Flask, monkeypatch: pytest.MonkeyPatch, serve_from: ServeFrom) -> Iterator[Lane]:
    """A lane that tries five sessions at once."""
    impatient = replace(app.config["ENGINE"], window_seconds=0.1, session_idle_seconds=1.0)
    monkeypatch.setitem(app.config, "ENGINE", impatient)
    with app.app_context():
        lane = Lane(routes.PRIMARY, 20)
        lane.concurrency.target = 5
        yield lane
        lane.disconnect()


def test_sessions_that_take_long_to_open_are_opened_one_a_window_and_kept(
    lane: Lane, serve_from: ServeFrom
) -> None:
    """As with postscreen, or a server far away: the sessions that are there need not rest meanwhile."""

    def take_time(turn: Turn) -> None:
        if turn.stage is Stage.GREETING:
            time.sleep(OPENING)

    counts = []
    with Sink(take_time) as sink:
        serve_from(sink.port)
        for _ in range(7):
            begun = time.monotonic()
            counts.append(len(lane.exchange("b@sky.example", Notes())))
            assert time.monotonic() - begun < 3 * OPENING, "letters wait for sessions"

        assert counts == [1, 2, 3, 4, 5, 5, 5]
        assert sink.connections == 5, "none was given up because others were being opened"


def test_a_server_that_has_enough_sessions_is_not_asked_for_more_with_every_window(
    lane: Lane, serve_from: ServeFrom
) -> None:
    def have_enough(turn: Turn) -> None:
        if turn.stage is Stage.GREETING and turn.connection > 2:
            turn.say("421 4.7.0 too many connections")

    with Sink(have_enough) as sink:
        serve_from(sink.port)
        for _ in range(5):
            assert len(lane.exchange("b@sky.example", Notes())) == 2
            lane.concurrency.target += 3  # as letters are accepted

        assert sink.connections == 3
