"""Test a server that misbehaves for one of several recipients (faults 5 to 8, 13 to 17 and 20)."""

import resource
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.models import Attempt, Delivery, DeliveryState, OnUnknown, Outcome, Route, Suppression, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.conftest import Engine, WatchPages
from tests.faults.sink import Script, Sink, Stage, Turn
from tests.support.factories import create_clients, due_mailing

# Replies are interpreted in Python; other tests write each outcome to both databases.
pytestmark = pytest.mark.one_engine

RECIPIENTS = 6
AFFECTED = 3  # the index of the recipient with the fault
MEMORY_GROWTH = 64 * 1024  # KiB


def misbehave_once(stage: Stage, act: Script) -> Script:
    """Return a script that misbehaves once, when the first letter reaches `stage`."""
    remaining = [1]

    def script(turn: Turn) -> None:
        if turn.stage is stage and remaining:
            remaining.clear()
            act(turn)

    return script


def reply(text: str | bytes) -> Script:
    return lambda turn: turn.say(text)


def list_outcomes(session: Session) -> list[Outcome]:
    """Return the outcomes of all attempts except the accepted ones."""
    return list(session.scalars(select(Attempt.outcome).where(Attempt.outcome != Outcome.SENT)))


@pytest.mark.both_engines
def test_5_a_greylisted_letter_is_accepted_at_the_third_attempt(
    session: Session, user: User, engine: Engine
) -> None:
    clients = create_clients(user, RECIPIENTS)
    refusals = ["451 4.7.1 greylisted", "451 4.7.1 still greylisted"]

    def greylist(turn: Turn) -> None:
        if turn.stage is Stage.RCPT and turn.recipient == clients[AFFECTED].email and refusals:
            turn.say(refusals.pop(0))

    with Sink(greylist) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))
        assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS - 1, "deferred": 1}
        engine.pass_time(seconds=75)
        assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS - 1, "deferred": 1}
        engine.pass_time(minutes=7)

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert sink.per_address() == {client.email: 1 for client in clients}
    assert list_outcomes(session) == [Outcome.DEFERRED] * 2
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.both_engines
def test_6_an_invalid_address_fails_once_and_is_skipped_by_the_next_mailing(
    session: Session, user: User, engine: Engine
) -> None:
    clients = create_clients(user, RECIPIENTS)
    invalid = clients[AFFECTED].email

    def refuse(turn: Turn) -> None:
        if turn.stage is Stage.RCPT and turn.recipient == invalid:
            turn.say("550 5.1.1 no such user here")

    with Sink(refuse) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))
        run = get_only_run(session)
        assert count_states(session, run) == {"sent": RECIPIENTS - 1, "failed": 1}
        check_ledger(session, run, sink.letters)
        assert session.execute(select(Suppression)).scalar_one().email_key == invalid

        engine.start(due_mailing(user))

    assert [address for _, address in sink.started].count(invalid) == 1
    assert session.scalar(
        select(func.count()).select_from(Delivery).where(Delivery.state == DeliveryState.SUPPRESSED)
    )


@pytest.mark.parametrize(
    ("text", "state"), [("452 4.3.1 disk full", "deferred"), ("552 5.3.4 too big", "failed")]
)
def test_7_a_refusal_after_the_dot_affects_one_letter(
    session: Session, user: User, engine: Engine, text: str, state: str
) -> None:
    create_clients(user, RECIPIENTS)
    with Sink(misbehave_once(Stage.DOT, reply(text))) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))
        assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS - 1, state: 1}
        engine.finish()

    expected = {"sent": RECIPIENTS} if state == "deferred" else {"sent": RECIPIENTS - 1, "failed": 1}
    assert count_states(session, get_only_run(session)) == expected
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA])
@pytest.mark.parametrize(
    "act",
    [pytest.param(Turn.hang_up, id="8-hangs-up"), pytest.param(reply(b"\x00\xff\xfe?\r\n"), id="14-garbage")],
)
def test_8_14_a_letter_whose_session_breaks_before_the_body_is_retried(
    session: Session, user: User, engine: Engine, stage: Stage, act: Script
) -> None:
    clients = create_clients(user, RECIPIENTS)
    with Sink(misbehave_once(stage, act)) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))
        engine.finish()

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert sink.per_address() == {client.email: 1 for client in clients}
    assert list_outcomes(session) in ([], [Outcome.DEFERRED])
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.EHLO])
def test_14_garbage_as_a_greeting_is_a_route_fault(
    session: Session, user: User, engine: Engine, stage: Stage
) -> None:
    create_clients(user, RECIPIENTS)
    with Sink(misbehave_once(stage, reply(b"\x00\xff\xfe?\r\n"))) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))
        engine.finish(timedelta(seconds=15))

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert list_outcomes(session) == []
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DOT])
def test_13_no_attempt_is_counted_while_a_server_is_shut_down(
    session: Session, user: User, engine: Engine, stage: Stage
) -> None:
    create_clients(user, RECIPIENTS)
    with Sink(misbehave_once(stage, reply("421 4.3.2 shutting down"))) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))
        assert session.execute(select(Route)).scalar_one().last_fault == "421 4.3.2 shutting down"
        engine.finish(timedelta(seconds=15))

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert list_outcomes(session) == []
    check_ledger(session, get_only_run(session), sink.letters)


def test_13_sending_continues_in_a_new_session_after_the_limit_per_session(
    session: Session, user: User, engine: Engine
) -> None:
    """A 421 at MAIL after 20 letters, as Exim sends it, is not a fault and needs no sweep."""
    clients = create_clients(user, 150)
    accepted: Counter[int] = Counter()

    def accept_twenty(turn: Turn) -> None:
        if turn.stage is Stage.DOT:
            accepted[turn.connection] += 1
        elif turn.stage is Stage.MAIL and accepted[turn.connection] == 20:
            turn.say("421 4.7.0 too many messages in this connection")
            turn.hang_up()

    with Sink(accept_twenty) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))

    assert count_states(session, get_only_run(session)) == {"sent": 150}
    assert sink.per_address() == {client.email: 1 for client in clients}
    assert session.execute(select(Route)).scalar_one().last_fault == ""
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.parametrize("text", ["250 fine", "252 perhaps", "299 something"])
def test_15_any_2xx_after_the_dot_means_accepted(
    session: Session, user: User, engine: Engine, text: str
) -> None:
    create_clients(user, RECIPIENTS)

    def agree(turn: Turn) -> None:
        if turn.stage is Stage.DOT:
            turn.keep()
            turn.say(text)

    with Sink(agree) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.parametrize("text", ["999 what", "354 more please", b"\x00\xff garbage\r\n"])
@pytest.mark.parametrize("is_stored", [True, False])
def test_14_16_a_letter_with_a_meaningless_reply_after_the_dot_is_unknown(
    session: Session, user: User, engine: Engine, text: str | bytes, is_stored: bool
) -> None:
    create_clients(user, RECIPIENTS)

    def confuse(turn: Turn) -> None:
        if is_stored:
            turn.keep()
        turn.say(text)

    with Sink(misbehave_once(Stage.DOT, confuse)) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user, on_unknown=OnUnknown.HOLD))
        engine.finish()

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS - 1, "unknown": 1}
    assert list_outcomes(session) == [Outcome.UNKNOWN]
    assert len(sink.letters) == RECIPIENTS - 1 + is_stored
    check_ledger(session, get_only_run(session), sink.letters)


def flood_one_line(turn: Turn) -> None:
    turn.peer.send(b"250-")
    while True:
        turn.peer.send(b"x" * 65_536)


def flood_lines(turn: Turn) -> None:
    while True:
        turn.peer.send(b"250-yes\r\n" * 4096)


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT])
@pytest.mark.parametrize("act", [flood_one_line, flood_lines])
def test_17_an_endless_reply_is_cut_off(
    session: Session, user: User, engine: Engine, watch_pages: WatchPages, stage: Stage, act: Script
) -> None:
    create_clients(user, RECIPIENTS)
    mailing = due_mailing(user, on_unknown=OnUnknown.HOLD)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Sink(misbehave_once(stage, act)) as sink, watch_pages(mailing):
        engine.use_server(sink.port)
        engine.start(mailing)
        engine.finish()

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_GROWTH
    unknown = {"unknown": 1} if stage is Stage.DOT else {}
    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS - len(unknown)} | unknown
    check_ledger(session, get_only_run(session), sink.letters)


@pytest.mark.parametrize(
    "act", [Turn.hang_up, Turn.wait_for_client, reply("554 5.0.0 I regret everything"), reply(b"\xff\r\n")]
)
def test_20_a_fault_at_quit_has_no_effect(session: Session, user: User, engine: Engine, act: Script) -> None:
    create_clients(user, RECIPIENTS)

    def misbehave(turn: Turn) -> None:
        if turn.stage is Stage.QUIT:
            act(turn)

    with Sink(misbehave) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))
        engine.use_server(sink.port)  # ends the sessions

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert session.execute(select(Route)).scalar_one().faults_in_a_row == 0
    check_ledger(session, get_only_run(session), sink.letters)


def test_a_server_may_close_an_idle_session(session: Session, user: User, engine: Engine) -> None:
    """Servers close sessions that have been idle for too long, with a 421 or without any reply."""
    create_clients(user, RECIPIENTS)
    with Sink() as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))
        sink.close_idle_sessions("421 4.4.2 timeout exceeded")

        engine.start(due_mailing(user))

    assert len(sink.letters) == 2 * RECIPIENTS
    assert session.execute(select(Route)).scalar_one().last_fault == ""
    assert list_outcomes(session) == []
