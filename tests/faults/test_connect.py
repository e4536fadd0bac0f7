"""Test that no attempts are counted while a mail server is unreachable or does not greet (faults 1 to 4)."""

import resource
import time
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.delivery.smtp import connection
from skymailing.models import Attempt, Mailing, Route, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.conftest import Engine, WatchPages
from tests.faults.sink import Script, Sink, Stage, Turn, behave
from tests.support.factories import create_clients, due_mailing
from tests.support.ports import find_free_port

# Connections to a mail server do not depend on the database.
pytestmark = pytest.mark.one_engine

RECIPIENTS = 5
MEMORY_GROWTH = 64 * 1024  # KiB


def greet_with(reply: str) -> Script:
    def script(turn: Turn) -> None:
        if turn.stage is Stage.GREETING:
            turn.say(reply)

    return script


def refuse_ehlo(turn: Turn) -> None:
    if turn.stage is Stage.EHLO:
        turn.say("550 5.5.1 not from you")


def say_nothing(turn: Turn) -> None:
    if turn.stage is Stage.GREETING:
        turn.wait_for_client()


def reply_endlessly(turn: Turn) -> None:
    if turn.stage is Stage.EHLO:
        while True:
            turn.say("250-and another thing")
            time.sleep(0.1)


def hang_up_at(stage: Stage) -> Script:
    def script(turn: Turn) -> None:
        if turn.stage is stage:
            turn.hang_up()

    return script


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(None, id="1-port-closed"),
        pytest.param(greet_with("421 4.3.2 too many of you"), id="2-greeting-4xx"),
        pytest.param(greet_with("554 5.3.2 no service here"), id="2-greeting-5xx"),
        pytest.param(greet_with("554 no \0 service\x07 here"), id="2-greeting-not-text"),
        pytest.param(refuse_ehlo, id="2-ehlo-5xx"),
        pytest.param(hang_up_at(Stage.GREETING), id="2-closes-at-once"),
        pytest.param(hang_up_at(Stage.EHLO), id="2-closes-at-ehlo"),
        pytest.param(say_nothing, id="3-no-banner"),
        pytest.param(reply_endlessly, id="4-drips-for-ever"),
    ],
)
@pytest.mark.usefixtures("short_timeouts")
def test_a_server_out_of_service_uses_up_no_attempts_and_later_gets_every_letter(
    session: Session, user: User, engine: Engine, watch_pages: WatchPages, script: Script | None
) -> None:
    clients = create_clients(user, RECIPIENTS)
    mailing = due_mailing(user)
    port = find_free_port()
    sink = Sink(script or behave, port=port)
    engine.use_server(port)

    with watch_pages(mailing):
        if script:
            with sink:
                fail_to_send(engine, mailing)
        else:
            fail_to_send(engine, mailing)

    assert count_states(session, get_only_run(session)) == {"pending": RECIPIENTS}
    assert session.scalar(select(func.count()).select_from(Attempt)) == 0
    route = session.execute(select(Route)).scalar_one()
    assert route.state == "open"
    assert route.last_fault
    assert sink.connections <= 5, "the breaker opens after five faults"
    assert not sink.letters

    with Sink(port=port) as recovered:
        engine.pass_time(minutes=2)
        engine.finish()

    assert recovered.per_address() == {client.email: 1 for client in clients}
    session.refresh(route)
    assert route.state == "closed"
    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    check_ledger(session, get_only_run(session), recovered.letters)


def fail_to_send(engine: Engine, mailing: Mailing) -> None:
    engine.start(mailing)
    for _ in range(6):
        engine.sweep()


def flood_lines(turn: Turn) -> None:
    if turn.stage is Stage.EHLO:
        while True:
            turn.say(b"250-" + b"x" * 500 + b"\r\n" + b"250-y\r\n" * 1000)


def flood_one_line(turn: Turn) -> None:
    if turn.stage is Stage.EHLO:
        while True:
            turn.say(b"250-" + b"x" * 60_000)


@pytest.mark.parametrize("flood", [flood_lines, flood_one_line])
def test_an_endless_greeting_is_cut_off_before_memory_is_full(
    app: Flask, engine: Engine, flood: Callable[[Turn], None]
) -> None:
    app.config["MAIL_TIMEOUT"] = 10
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Sink(flood) as sink, app.app_context():
        engine.use_server(sink.port)
        start = time.monotonic()
        with pytest.raises(OSError):
            connection.open_smtp(app.config["MAIL_TIMEOUT"])

    assert time.monotonic() - start < 8, "cut off by its size, not by the time limit"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_GROWTH


@pytest.mark.usefixtures("short_timeouts")
def test_14_an_invalid_challenge_is_a_route_fault(session: Session, user: User, engine: Engine) -> None:
    create_clients(user, RECIPIENTS)

    def confuse(turn: Turn) -> None:
        if turn.stage is Stage.AUTH:
            turn.say("334 x")

    with Sink(confuse, extensions=("AUTH CRAM-MD5 PLAIN",)) as sink:
        engine.use_server(sink.port, username="sky", password="s3cret")
        engine.start(due_mailing(user))

    assert count_states(session, get_only_run(session)) == {"pending": RECIPIENTS}
    assert "invalid reply" in session.execute(select(Route)).scalar_one().last_fault
