"""Test letters that may have been accepted (faults 9 to 12 and 22), which are held or resent."""

import time
from email import message_from_bytes

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.models import Attempt, Client, Delivery, OnUnknown, Outcome, RunState, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.conftest import Engine, WatchPages
from tests.faults.locks import lock_deliveries
from tests.faults.sink import Script, Sink, Stage, Turn
from tests.faults.workers import kill, run_workers
from tests.processes.service import wait_until
from tests.support.factories import create_clients, due_mailing

RECIPIENTS = 6


def lose_letter(turn: Turn) -> None:
    """Read the body and hang up without storing the letter."""
    turn.hang_up()


def keep_and_hang_up(turn: Turn) -> None:
    turn.keep()
    turn.hang_up()


def keep_and_fall_silent(turn: Turn) -> None:
    turn.keep()
    turn.wait_for_client()


def misbehave_at_dot(affected: Client, act: Script, times: int = 1000) -> Script:
    """Return a script that misbehaves `times` times after the body of one client's letter."""
    remaining = [times]

    def script(turn: Turn) -> None:
        if turn.stage is Stage.DOT and turn.recipient == affected.email and remaining[0]:
            remaining[0] -= 1
            act(turn)

    return script


# To the database, all three are the same.
FAULTS = [
    pytest.param(lose_letter, 0, id="9-hangs-up", marks=pytest.mark.one_engine),
    pytest.param(keep_and_hang_up, 1, id="10-keeps-and-hangs-up"),
    pytest.param(keep_and_fall_silent, 1, id="11-too-slow", marks=pytest.mark.one_engine),
]


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize(("act", "stored"), FAULTS)
def test_a_held_letter_stays_unknown_and_is_not_sent_again(
    session: Session, user: User, engine: Engine, watch_pages: WatchPages, act: Script, stored: int
) -> None:
    clients = create_clients(user, RECIPIENTS)
    affected = clients[2]
    mailing = due_mailing(user, on_unknown=OnUnknown.HOLD)
    with Sink(misbehave_at_dot(affected, act)) as sink, watch_pages(mailing):
        engine.use_server(sink.port)
        engine.start(mailing)
        engine.finish()

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS - 1, "unknown": 1}
    expected = {client.email: 1 for client in clients} | {affected.email: stored}
    assert sink.per_address() == {address: count for address, count in expected.items() if count}
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize(("act", "stored"), FAULTS)
def test_an_unknown_letter_is_resent_once_after_half_an_hour_with_the_same_message_id(
    session: Session, user: User, engine: Engine, act: Script, stored: int
) -> None:
    clients = create_clients(user, RECIPIENTS)
    affected = clients[2]
    with Sink(misbehave_at_dot(affected, act, times=1)) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user, on_unknown=OnUnknown.RESEND))
        engine.pass_time(minutes=29)
        assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS - 1, "deferred": 1}
        engine.pass_time(minutes=2)

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert sink.per_address() == {client.email: 1 for client in clients} | {affected.email: 1 + stored}
    copies = [letter for letter in sink.letters if letter.to == affected.email]
    assert len({message_from_bytes(copy.content)["Message-ID"] for copy in copies}) == 1
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize(("act", "stored"), FAULTS)
def test_a_letter_that_is_unknown_twice_is_not_resent(
    session: Session, user: User, engine: Engine, act: Script, stored: int
) -> None:
    clients = create_clients(user, RECIPIENTS)
    affected = clients[2]
    with Sink(misbehave_at_dot(affected, act)) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user, on_unknown=OnUnknown.RESEND))
        engine.finish()

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS - 1, "unknown": 1}
    assert sink.per_address()[affected.email] == 2 * stored
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.usefixtures("short_timeouts")
def test_12_a_slow_reply_within_the_deadline_counts(session: Session, user: User, engine: Engine) -> None:
    clients = create_clients(user, RECIPIENTS)

    def delay_reply(turn: Turn) -> None:
        time.sleep(0.6)

    with Sink(misbehave_at_dot(clients[2], delay_reply)) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user, on_unknown=OnUnknown.RESEND))

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert sink.per_address() == {client.email: 1 for client in clients}
    check_ledger(session, get_only_run(session), sink.letters)


def test_22_letters_accepted_but_not_recorded_before_a_kill_count_as_sent(
    app: Flask, environment: dict[str, str], session: Session, user: User, engine: Engine
) -> None:
    """The worker is killed after it has received every 250, while it is waiting for the database."""
    clients = create_clients(user, RECIPIENTS)
    lock = lock_deliveries(session)

    def lock_ledger(turn: Turn) -> None:
        if turn.stage is Stage.DATA:
            lock.acquire()

    with Sink(lock_ledger) as sink:
        mailing = due_mailing(user, on_unknown=OnUnknown.HOLD)
        with app.app_context():
            queue.enqueue("start_mailing", mailing.id)
        # With one worker, all letters are in the first window, before the server has proven to accept them.
        settings = environment | {"MAIL_PORT": str(sink.port), "WORKERS": "1"}
        with run_workers(settings, 1) as running:
            wait_until(lambda: len(sink.letters) == RECIPIENTS, "every letter is accepted")
            time.sleep(0.5)  # let the last 250 arrive
            kill(running.pop())
        lock.release()
        engine.use_server(sink.port)
        engine.sweep()

        assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
        assert get_only_run(session).state is RunState.FINISHED

    assert sink.per_address() == {client.email: 1 for client in clients}
    assert set(session.scalars(select(Attempt.outcome))) == {Outcome.SENT}
    assert set(session.scalars(select(Attempt.code))) == {250}
    check_ledger(session, get_only_run(session), sink.letters)


def test_22_after_a_kill_only_the_letter_between_dot_and_reply_is_unknown(
    app: Flask, environment: dict[str, str], session: Session, user: User, engine: Engine
) -> None:
    clients = create_clients(user, RECIPIENTS)
    affected = clients[2]
    accepted: list[str] = []

    def stall(turn: Turn) -> None:
        if turn.stage is Stage.DOT and turn.recipient == affected.email:
            turn.keep()
            accepted.append(turn.recipient)
            turn.wait_for_client()

    with Sink(stall, extensions=()) as sink:
        mailing = due_mailing(user, on_unknown=OnUnknown.HOLD)
        with app.app_context():
            queue.enqueue("start_mailing", mailing.id)
        with run_workers(environment | {"MAIL_PORT": str(sink.port)}, 1) as running:
            wait_until(lambda: bool(accepted), "the letter is accepted")
            kill(running.pop())
        engine.use_server(sink.port)
        engine.sweep()

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS - 1, "unknown": 1}
    unknown = session.scalars(select(Delivery).where(Delivery.unknowns > 0)).one()
    assert unknown.email == affected.email
    assert sink.per_address() == {client.email: 1 for client in clients}
    check_ledger(session, get_only_run(session), sink.letters)
