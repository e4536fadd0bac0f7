"""A long outage with a queue (fault 29): probes only while it lasts, and no stampede when it is over."""

import itertools
import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Attempt, User
from tests.delivery.ledger import check_ledger, only_run, states
from tests.faults.conftest import Engine, due_mailing
from tests.faults.sink import Sink, Stage, Turn
from tests.faults.workers import add_clients

RECIPIENTS = 200
FAULTS_TO_OPEN = 5
LONGEST_WAIT = timedelta(minutes=15 * 1.2)


@pytest.mark.parametrize(
    ("hours", "step"),
    [
        pytest.param(2, timedelta(minutes=4), id="short"),
        pytest.param(60, timedelta(minutes=5), id="long", marks=pytest.mark.soak),
    ],
)
def test_29_probes_only_and_no_stampede_at_the_end(
    session: Session, user: User, engine: Engine, hours: int, step: timedelta
) -> None:
    add_clients(session, user, RECIPIENTS)
    is_down = threading.Event()
    asked: list[datetime] = []
    sessions_at: list[int] = []  # how many sessions there were at each letter

    def be_down_at_times(turn: Turn) -> None:
        if turn.stage is Stage.GREETING:
            asked.append(utcnow())  # in the engine's time
            if is_down.is_set():
                turn.say("421 4.3.2 down for maintenance")
                turn.hang_up()
        elif turn.stage is Stage.MAIL and is_down.is_set():
            turn.say("421 4.3.2 down for maintenance")
        elif turn.stage is Stage.DOT:
            sessions_at.append(turn.sink.open_sessions)
            if len(sessions_at) == RECIPIENTS // 2 and not was_down:
                was_down.append(True)
                is_down.set()

    was_down: list[bool] = []
    with Sink(be_down_at_times) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user, ends_at=utcnow() + timedelta(days=5)))
        assert is_down.is_set()
        for _ in range(FAULTS_TO_OPEN):
            engine.sweep()
        asked.clear()
        begun = engine.now
        letters_before = len(sink.letters)

        while engine.now < begun + timedelta(hours=hours):
            engine.pass_time(seconds=step.total_seconds())
        pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
        assert len(asked) <= 6 + hours * 6, "a probe every 12 minutes at most, after the first few"
        assert all(pause <= LONGEST_WAIT + 2 * step for pause in pauses), "it goes on being probed"
        assert len(sink.letters) == letters_before
        attempts = session.scalar(select(func.count()).select_from(Attempt)) or 0
        assert attempts == letters_before + unknowns(session), "no attempt was spent on the outage"

        is_down.clear()
        sessions_at.clear()
        engine.finish(timedelta(minutes=1), most=60)

    assert states(session, only_run(session)) == {"sent": RECIPIENTS}
    assert sessions_at[0] == 1, "a probe is one letter over one session"
    first_letters = sessions_at[: RECIPIENTS // 10]
    assert max(first_letters) <= 3, f"a stampede: {sessions_at}"
    check_ledger(session, only_run(session), sink.letters)


def unknowns(session: Session) -> int:
    run = only_run(session)
    return states(session, run).get("unknown", 0)
