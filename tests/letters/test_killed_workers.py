"""Test that letters survive the death of a real worker, as those of mailings do (faults 21 and 22)."""

import time

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import hints
from skymailing.models import Attempt, Outcome, RunState, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.conftest import Engine, engine  # noqa: F401 - a fixture
from tests.faults.locks import lock_deliveries
from tests.faults.sink import Sink, Stage, Turn
from tests.faults.workers import kill, run_workers
from tests.processes.service import wait_until
from tests.support.letter_factories import create_letter

ADDRESSES = [f"c{number}@example.org" for number in range(4)]


def add_letters(app: Flask, session: Session, owner: User) -> None:
    for address in ADDRESSES:
        create_letter(owner, address)
    with app.app_context():
        hints.hint_letters(owner.id, get_only_run(session).id)


def test_letters_accepted_but_not_recorded_before_a_kill_count_as_sent(
    app: Flask,
    environment: dict[str, str],
    session: Session,
    user: User,
    engine: Engine,  # noqa: F811
) -> None:
    add_letters(app, session, user)
    lock = lock_deliveries(session)

    def lock_ledger(turn: Turn) -> None:
        if turn.stage is Stage.DATA:
            lock.acquire()

    with Sink(lock_ledger) as sink:
        settings = environment | {"MAIL_PORT": str(sink.port), "WORKERS": "1"}
        with run_workers(settings, 1) as running:
            wait_until(lambda: len(sink.letters) == len(ADDRESSES), "every letter is accepted")
            time.sleep(0.5)  # let the last 250 arrive
            kill(running.pop())
        lock.release()
        engine.use_server(sink.port)
        engine.sweep()
        assert count_states(session, get_only_run(session)) == {"sent": len(ADDRESSES)}
        engine.pass_time(days=1)
    assert sink.per_address() == dict.fromkeys(ADDRESSES, 1)
    assert set(session.scalars(select(Attempt.outcome))) == {Outcome.SENT}
    run = get_only_run(session)
    assert run.state is RunState.FINISHED
    check_ledger(session, run, sink.letters)


def test_after_a_kill_only_the_letter_between_dot_and_reply_is_unknown(
    app: Flask,
    environment: dict[str, str],
    session: Session,
    user: User,
    engine: Engine,  # noqa: F811
) -> None:
    add_letters(app, session, user)
    accepted: list[str] = []

    def stall(turn: Turn) -> None:
        if turn.stage is Stage.DOT and turn.recipient == ADDRESSES[2]:
            turn.keep()
            accepted.append(turn.recipient)
            turn.wait_for_client()

    with Sink(stall, extensions=()) as sink:
        with run_workers(environment | {"MAIL_PORT": str(sink.port)}, 1) as running:
            wait_until(lambda: bool(accepted), "the letter is accepted")
            kill(running.pop())
        engine.use_server(sink.port)
        engine.sweep()
        engine.pass_time(days=1)
    run = get_only_run(session)
    assert count_states(session, run) == {"sent": len(ADDRESSES) - 1, "unknown": 1}
    assert sink.per_address() == dict.fromkeys(ADDRESSES, 1)
    check_ledger(session, run, sink.letters)
