"""Test how many sessions a worker keeps with servers that are near, distant or slow."""

import threading
import time

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.delivery.routing.concurrency import Concurrency, SessionLimits
from skymailing.delivery.smtp.session import Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.models import User
from tests.delivery.conftest import ServeFrom, Work
from tests.delivery.handover import make_results
from tests.delivery.ledger import count_states, get_only_run
from tests.faults.sink import Script, Sink, Stage, Turn
from tests.support.factories import create_clients, due_mailing

# The number of sessions does not depend on the database.
pytestmark = pytest.mark.one_engine

USUAL, DISTANT = 4, 8


def adjust_all(sessions: Concurrency, windows: list[list[Result]]) -> list[int]:
    targets = []
    for results in windows:
        sessions.adjust(results)
        targets.append(sessions.target)
    return targets


def test_the_number_of_sessions_grows_with_success_and_halves_on_a_fault() -> None:
    sessions = Concurrency(SessionLimits(20, 20), letters_to_grow=10)
    windows = [
        make_results(Verdict.SENT, 5),
        make_results(Verdict.SENT, 50),
        make_results(Verdict.FAILED, 9, 550),
        make_results(Verdict.SENT, 500),
        make_results(Verdict.SENT, 99) + make_results(Verdict.ROUTE_FAULT, 1, 421),
        make_results(Verdict.DEFERRED, 1, None),
        make_results(Verdict.DEFERRED, 9, 451),
    ]
    assert adjust_all(sessions, windows) == [2, 7, 7, 20, 10, 5, 5]


def test_more_sessions_than_usual_are_kept_only_while_a_distant_server_replies_at_once() -> None:
    sessions = Concurrency(SessionLimits(20, 40), letters_to_grow=10)
    times = [0.02, 0.021, 0.021, 0.09, 0.09, 0.09]
    windows = [make_results(Verdict.SENT, 150, seconds=seconds) for seconds in times]

    assert adjust_all(sessions, windows) == [16, 31, 40, 30, 22, 20]


@pytest.mark.parametrize("seconds", [0.009, None])
def test_near_servers_and_unmeasured_letters_do_not_raise_the_limit(seconds: float | None) -> None:
    sessions = Concurrency(SessionLimits(20, 40), letters_to_grow=10)

    assert adjust_all(sessions, [make_results(Verdict.SENT, 500, seconds=seconds)] * 3) == [20, 20, 20]


@pytest.mark.parametrize(("server", "expected"), [("distant", DISTANT), ("slow", USUAL)])
def test_a_distant_server_gets_more_sessions_than_a_slow_one(
    app: Flask,
    session: Session,
    user: User,
    serve_from: ServeFrom,
    sweep: Work,
    monkeypatch: pytest.MonkeyPatch,
    server: str,
    expected: int,
) -> None:
    monkeypatch.setitem(app.config, "MAIL_MAX_CONNECTIONS", USUAL)
    monkeypatch.setitem(app.config, "MAIL_MAX_DISTANT_CONNECTIONS", DISTANT)
    create_clients(user, 120)
    due_mailing(user)
    server_lock, max_sessions = threading.Lock(), 0

    def reply(turn: Turn) -> None:
        nonlocal max_sessions
        max_sessions = max(max_sessions, turn.sink.open_sessions)
        if turn.stage is Stage.DOT:
            if server == "distant":
                time.sleep(0.03)
            else:  # handles one letter at a time
                with server_lock:
                    time.sleep(0.03)

    script: Script = reply
    with Sink(script) as sink:
        serve_from(sink.port)
        sweep()
        assert count_states(session, get_only_run(session)) == {"sent": 120}

    assert max_sessions == expected
