"""During a long outage with pending letters (fault 29), only probes are sent, and no flood follows it."""

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
LONGEST_WAIT = timedelta(minutes=15 * 1.2)


class FailingServer:
    """The script of a server that fails in the middle of a run, until it is repaired."""

    def __init__(self) -> None:
        self.is_down = threading.Event()
        self._was_down = False
        self.connected: list[datetime] = []  # on the engine's clock
        self.sessions_at: list[int] = []  # the number of open sessions at each letter

    def reply(self, turn: Turn) -> None:
        if turn.stage is Stage.GREETING:
            self.connected.append(utcnow())
            if self.is_down.is_set():
                turn.say("421 4.3.2 down for maintenance")
                turn.hang_up()
        elif turn.stage is Stage.MAIL and self.is_down.is_set():
            turn.say("421 4.3.2 down for maintenance")
        elif turn.stage is Stage.DOT:
            self.sessions_at.append(turn.sink.open_sessions)
            if len(self.sessions_at) == RECIPIENTS // 2 and not self._was_down:
                self._was_down = True
                self.is_down.set()

    def repair(self) -> None:
        self.is_down.clear()
        self.sessions_at.clear()


@pytest.mark.parametrize(
    ("hours", "step"),
    [
        pytest.param(2, timedelta(minutes=4), id="short"),
        pytest.param(60, timedelta(minutes=5), id="long", marks=pytest.mark.soak),
    ],
)
def test_29_only_probes_are_sent_during_an_outage_and_no_flood_follows_it(
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
        begun = engine.now
        letters_before = len(sink.letters)

        while engine.now < begun + timedelta(hours=hours):
            engine.pass_time(seconds=step.total_seconds())
        check_probes(server.connected, hours, step)
        assert len(sink.letters) == letters_before
        attempts = session.scalar(select(func.count()).select_from(Attempt)) or 0
        assert attempts == letters_before + unknowns(session), "the outage cost no attempts"

        server.repair()
        engine.finish(timedelta(minutes=1), most=60)

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert server.sessions_at[0] == 1, "a probe is one letter over one session"
    first_letters = server.sessions_at[: RECIPIENTS // 10]
    assert max(first_letters) <= 3, f"too many sessions: {server.sessions_at}"
    check_ledger(session, get_only_run(session), sink.letters)


def check_probes(connected: list[datetime], hours: int, step: timedelta) -> None:
    pauses = [later - earlier for earlier, later in itertools.pairwise(connected)]
    assert len(connected) <= 6 + hours * 6, "after the first few, at most one probe every 12 minutes"
    assert all(pause <= LONGEST_WAIT + 2 * step for pause in pauses), "probes continue"


def unknowns(session: Session) -> int:
    return count_states(session, get_only_run(session)).get("unknown", 0)
