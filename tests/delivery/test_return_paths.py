"""Test return paths with a token: when they are used, the attribution of bounces, and refusals."""

import re

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.delivery.routing.route_memory import lock_route
from skymailing.extensions import db
from skymailing.models import Bounce, Delivery, Proof, Route, RunState, Suppression, User
from tests.delivery.conftest import ServeFrom, Work
from tests.delivery.ledger import count_states, get_only_run
from tests.faults.sink import Sink, Stage, Turn
from tests.returns.letters import make_status, quote_headers
from tests.support.factories import create_clients, due_mailing
from tests.support.servers import SmtpServer

ADDRESS = "bounces@sky.example"
PATH = re.compile(r"bounces\+[0-9a-f]{40}@sky\.example")


@pytest.fixture
def proven(app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the route use return paths with tokens."""
    monkeypatch.setitem(app.config, "MAIL_BOUNCE_ADDRESS", ADDRESS)
    with app.app_context(), Session(db.engine) as own, own.begin():
        lock_route(own, "primary").bounce_address = ADDRESS


def test_a_bounce_that_quotes_nothing_is_attributed_by_its_recipient(
    app: Flask, session: Session, user: User, smtp: SmtpServer, sweep: Work, proven: None
) -> None:
    create_clients(user, 3)
    due_mailing(user)
    sweep()
    assert all(PATH.fullmatch(letter.sender) for letter in smtp.letters)
    assert len({letter.sender for letter in smtp.letters}) == 3
    quoted = quote_headers("<unknown@example.org>", "<https://example.org>")
    runner = app.test_cli_runner()
    for number, letter in enumerate(smtp.letters):
        report = make_status(letter.to, "5.1.1", "550 5.1.1 user unknown", quoted=quoted)
        recipient = letter.sender.upper()  # servers may change the case
        if number:
            report = report.replace(b"bounces@sky.example", letter.sender.encode())
        arguments = [] if number else ["--sender", "", "--recipient", recipient]
        result = runner.invoke(args=["bounces", "ingest", *arguments], input=report)
        assert result.output.endswith("understood\n")
    forged = "bounces+" + 40 * "a" + "@sky.example"
    report = make_status("other@example.org", "5.1.1", "550 5.1.1 user unknown", quoted=quoted)
    result = runner.invoke(args=["bounces", "ingest", "--recipient", forged], input=report)
    assert result.output.endswith("unclear\n")

    session.expire_all()
    delivered = set(session.scalars(select(Delivery.email_key)))
    assert set(session.scalars(select(Suppression.email_key))) == delivered
    assert set(session.scalars(select(Bounce.proof))) == {Proof.SIGNED}


@pytest.mark.one_engine
def test_letters_have_no_tokens_before_one_has_been_proven(
    session: Session,
    app: Flask,
    user: User,
    smtp: SmtpServer,
    sweep: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.config, "MAIL_BOUNCE_ADDRESS", ADDRESS)
    create_clients(user, 2)
    due_mailing(user)
    sweep()
    assert {letter.sender for letter in smtp.letters} == {"letters@sky.example"}


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT])
@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.one_engine
def test_a_refusal_turns_tokens_off_instead_of_pausing_the_mailing(
    app: Flask,
    session: Session,
    user: User,
    serve_from: ServeFrom,
    sweep: Work,
    proven: None,
    stage: Stage,
    extensions: tuple[str, ...],
) -> None:
    senders: list[str] = []

    def refuse(turn: Turn) -> None:
        if turn.stage is Stage.MAIL:
            senders.append(turn.line)
        if turn.stage is stage and "+" in senders[-1]:
            turn.say("553 5.1.8 sender address rejected")

    runner = app.test_cli_runner()
    assert "each letter has its own return path" in runner.invoke(args=["routes", "list"]).output
    create_clients(user, 5)
    due_mailing(user)
    with Sink(refuse, extensions) as sink:
        serve_from(sink.port)
        sweep()
        sweep()
    run = get_only_run(session)
    assert (run.state, count_states(session, run)) == (RunState.FINISHED, {"sent": 5})
    assert sum("+" in line for line in senders) == 1
    route = session.get_one(Route, "primary")
    assert route.bounce_address == ""
    assert route.probe["return_path_problem"] == "553 5.1.8 sender address rejected"
    assert "do not have their own return paths: 553 5.1.8" in runner.invoke(args=["routes", "list"]).output
