"""Test that three workers share a few sessions without losing time (`make soak`)."""

import logging
import time

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import hints, queue
from skymailing.extensions import db
from skymailing.models import LetterState, OnUnknown, OutboxLetter, Route, User
from skymailing.outbox.services import add_letter
from tests.delivery.ledger import check_ledger, get_only_run
from tests.faults.sink import Script, Sink, Stage, Turn, allow_sessions
from tests.faults.workers import LiveRun, add_clients, kill, live_run, run_workers, wait_for_letters
from tests.processes.service import wait_until
from tests.support.factories import UserFactory, due_mailing
from tests.support.servers import RedisServer

pytestmark = [pytest.mark.soak, pytest.mark.one_engine]

LETTERS = 500
SECONDS_PER_LETTER = 0.02

logger = logging.getLogger(__name__)


def allow_slow_sessions(limit: int) -> Script:
    refuse_more = allow_sessions(limit)

    def reply(turn: Turn) -> None:
        refuse_more(turn)
        if turn.stage is Stage.DOT:
            time.sleep(SECONDS_PER_LETTER)

    return reply


def measure(
    app: Flask, environment: dict[str, str], session: Session, workers: int, sessions: int
) -> tuple[float, float]:
    """Return the seconds that all letters took, and the seconds that an account letter waited."""
    user = UserFactory.create()
    add_clients(session, user, LETTERS)
    mailing = due_mailing(user)
    with Sink(allow_slow_sessions(sessions)) as sink:
        settings = environment | {"MAIL_PORT": str(sink.port), "WORKERS": str(workers)}
        with run_workers(settings, workers), app.app_context():
            wait_until(lambda: queue.count_workers() == workers, "the workers wait for jobs", 60)
            queue.enqueue("start_mailing", mailing.id)
            wait_for_letters(sink, LETTERS / 4)
            added_at = time.monotonic()
            letter_id = add_letter(db.session.get_one(User, user.id), "password-changed").id
            db.session.commit()
            hints.hint_outbox()
            wait_for_letters(sink, LETTERS + 1)
    seconds = sink.started[-1][0] - sink.started[0][0]
    waited = next(at for at, recipient in sink.started if recipient == user.email) - added_at
    assert set(sink.per_address().values()) == {1}
    assert session.scalar(select(OutboxLetter.state).where(OutboxLetter.id == letter_id)) is LetterState.SENT
    logger.warning(
        "%d workers, %d sessions: %.1f s, the account letter after %.2f s, %d connections",
        workers,
        sessions,
        seconds,
        waited,
        sink.connections,
    )
    return seconds, waited


@pytest.mark.parametrize("sessions", [1, 3])
def test_three_workers_share_few_sessions(
    app: Flask, environment: dict[str, str], session: Session, sessions: int
) -> None:
    alone, _ = measure(app, environment, session, 1, sessions)
    together, waited = measure(app, environment, session, 3, sessions)

    assert together <= 1.2 * alone
    assert waited < 5
    session.expire_all()
    for route in session.scalars(select(Route)):
        assert (route.opened_at, route.faults_in_a_row, route.last_fault) == (None, 0, "")


def sweep_until(run: LiveRun, sink: Sink, count: int) -> None:
    """Sweep and restart workers until the mail server has accepted `count` letters."""

    def have_arrived() -> bool:
        run.sweep()
        time.sleep(0.5)
        return len(sink.letters) >= count

    wait_until(have_arrived, f"{count} letters", 60)


def test_killed_workers_and_an_emptied_redis_keep_no_session(
    app: Flask, environment: dict[str, str], session: Session, user: User, redis_server: RedisServer
) -> None:
    add_clients(session, user, LETTERS)
    mailing = due_mailing(user, on_unknown=OnUnknown.HOLD)
    with Sink(allow_slow_sessions(1)) as sink:
        settings = environment | {"MAIL_PORT": str(sink.port), "WORKERS": "3"}
        with live_run(app, settings, session, mailing, count=3) as run:
            for count in (50, 150):
                sweep_until(run, sink, count)
                for worker in run.workers:
                    kill(worker)
            sweep_until(run, sink, 250)
            redis_server.client.flushall()
            run.finish(120)
        check_ledger(session, get_only_run(session), sink.letters)
    assert session.scalars(select(Route.opened_at)).all() in ([], [None])
