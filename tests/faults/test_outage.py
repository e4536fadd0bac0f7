"""Test that only probes are sent during a long outage, and that no burst follows it (fault 29)."""

import itertools
import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Attempt, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.conftest import Engine
from tests.faults.sink import Sink, Stage, Turn
from tests.faults.workers import add_clients
from tests.support.factories import due_mailing

RECIPIENTS = 200
FAULTS_TO_OPEN = 5
MAX_WAIT = timedelta(minutes=15 * 1.2)


class FailingServer:
    """The script for a server that fails halfway through a run, until it is repaired."""

    def __init__(self) -> None:
        self.is_down = threading.Event()
        self._was_down = False
        self.connected: list[datetime] = []  # according to the engine's clock
        self.session_counts: list[int] = []  # the number of open sessions at each letter

    def reply(self, turn: Turn) -> None:
        if turn.stage is Stage.GREETING:
            self.connected.append(utcnow())
            if self.is_down.is_set():
                turn.say("421 4.3.2 down for maintenance")
                turn.hang_up()
        elif turn.stage is Stage.MAIL and self.is_down.is_set():
            turn.say("421 4.3.2 down for maintenance")
        elif turn.stage is Stage.DOT:
            self.session_counts.append(turn.sink.open_sessions)
            if len(self.session_counts) == RECIPIENTS // 2 and not self._was_down:
                self._was_down = True
                self.is_down.set()

    def repair(self) -> None:
        self.is_down.clear()
        self.session_counts.clear()


@pytest.mark.one_engine  # the breaker's rules do not depend on the database
@pytest.mark.parametrize(
    ("hours", "step"),
    [
        pytest.param(2, timedelta(minutes=4), id="short"),
        pytest.param(60, timedelta(minutes=5), id="long", marks=pytest.mark.soak),
    ],
)
def test_29_only_probes_are_sent_during_an_outage_and_no_burst_follows_it(
    session: Session, user: User, engine: Engine, hours: int, step: timedelta
) -> None:
    add_clients(session, user, RECIPIENTS)
    server = FailingServer()
    with Sink(server.reply) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user, ends_at=utcnow() + timedelta(days=5)))
        assert server.is_down.is_set()
        for _ in range(FAULTS_TO_OPEN):
            engine.sweep()
        server.connected.clear()
        start = engine.now
        letters_before = len(sink.letters)

        while engine.now < start + timedelta(hours=hours):
            engine.pass_time(seconds=step.total_seconds())
        check_probes(server.connected, hours, step)
        assert len(sink.letters) == letters_before
        attempts = session.scalar(select(func.count()).select_from(Attempt)) or 0
        assert attempts == letters_before + count_unknowns(session), (
            "no attempts were counted during the outage"
        )

        server.repair()
        engine.finish(timedelta(minutes=1), max_steps=60)

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert server.session_counts[0] == 1, "a probe is one letter over one session"
    first_letters = server.session_counts[: RECIPIENTS // 10]
    assert max(first_letters) <= 3, f"too many sessions: {server.session_counts}"
    check_ledger(session, get_only_run(session), sink.letters)


def check_probes(connected: list[datetime], hours: int, step: timedelta) -> None:
    pauses = [later - earlier for earlier, later in itertools.pairwise(connected)]
    assert len(connected) <= 6 + hours * 6, "after the first few, at most one probe every 12 minutes"
    assert all(pause <= MAX_WAIT + 2 * step for pause in pauses), "probes continue"


def count_unknowns(session: Session) -> int:
    return count_states(session, get_only_run(session)).get("unknown", 0)
