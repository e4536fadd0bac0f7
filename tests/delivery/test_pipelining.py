"""Test that servers that offer PIPELINING without supporting it get commands step by step."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.delivery.routing import routes
from skymailing.models import Attempt, MailingState, User
from skymailing.monitoring.doctor import mail_servers
from tests.delivery.conftest import ServeFrom, Work
from tests.delivery.ledger import count_states, get_only_run
from tests.delivery.scripted import Peer, scripted_server
from tests.faults.sink import Sink, Stage, Turn
from tests.support.factories import create_clients, due_mailing

# The dialogue with a mail server does not depend on the database.
pytestmark = pytest.mark.one_engine

LETTERS = 15
REPLIES = {b"MAIL": "250 ok", b"RCPT": "250 ok", b"RSET": "250 ok"}


@pytest.fixture(autouse=True)
def _short_timeout(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait only one second for replies that never arrive."""
    monkeypatch.setitem(app.config, "ENGINE", replace(app.config["ENGINE"], letter_seconds=1.0))
    with app.app_context():
        close_dispatcher()
    yield
    with app.app_context():
        close_dispatcher()


@dataclass
class OneByOne:
    """A server that offers PIPELINING, but handles only the first command of a packet.

    It replies `to_others` to the other commands, or drops them. With `supports_envelopes`, it drops only
    commands that follow a letter's dot.
    """

    to_others: str = ""
    supports_envelopes: bool = False
    accepted: list[str] = field(default_factory=list)
    sessions: int = 0

    def __call__(self, peer: Peer) -> None:
        self.sessions += 1
        peer.greet("PIPELINING")
        recipient = ""
        while data := peer.connection.recv(65_536):
            line, *others = data.splitlines()
            if line.upper() == b"QUIT":
                return
            for command in [line, *others] if self.supports_envelopes else [line]:
                if command.startswith(b"RCPT"):
                    recipient = command.decode().removeprefix("RCPT TO:<").removesuffix(">")
                if command == b"DATA":
                    self._receive(peer, recipient)
                else:
                    peer.send(REPLIES[command[:4]])
            if others and self.to_others:
                for _ in others:
                    peer.send(self.to_others)

    def _receive(self, peer: Peer, recipient: str) -> None:
        peer.send("354 go")
        data = b""
        while b"\r\n.\r\n" not in data:
            data += peer.connection.recv(65_536)
        self.accepted.append(recipient)
        peer.send("250 accepted")


SERVERS = [
    pytest.param(OneByOne, {}, id="drops-commands"),
    pytest.param(OneByOne, {"supports_envelopes": True}, id="drops-what-follows-a-letter"),
    pytest.param(OneByOne, {"to_others": "503 5.5.1 bad sequence of commands"}, id="503"),
    pytest.param(OneByOne, {"to_others": "554 5.5.0 synchronization error"}, id="554"),
]


@pytest.mark.parametrize(("server", "values"), SERVERS)
def test_letters_are_sent_step_by_step_and_the_route_remembers_it(
    app: Flask,
    session: Session,
    user: User,
    serve_from: ServeFrom,
    sweep: Work,
    server: type[OneByOne],
    values: dict[str, object],
) -> None:
    clients = create_clients(user, LETTERS)
    first, second = server(**values), server(**values)  # type: ignore[arg-type]
    due = due_mailing(user)
    with scripted_server(first) as port:
        serve_from(port)
        sweep()
        session.refresh(due)

    assert due.state is MailingState.FINISHED
    assert count_states(session, get_only_run(session)) == {"sent": LETTERS}
    assert sorted(first.accepted) == sorted(client.email for client in clients)
    assert session.scalar(select(func.count()).select_from(Attempt)) == LETTERS, "no attempt was counted"
    with app.app_context():
        assert routes.admit(routes.PRIMARY, utcnow(), owner_id=1).memory.step_by_step_since

    due_mailing(user)
    with scripted_server(second) as port:
        serve_from(port)  # like a new worker, it starts with what the route remembers
        sweep()
    assert len(second.accepted) == LETTERS
    assert second.sessions <= 3, "no session failed"


def test_pipelining_is_tried_again_after_a_day(
    app: Flask, session: Session, user: User, serve_from: ServeFrom, sweep: Work
) -> None:
    create_clients(user, LETTERS)
    due_mailing(user)
    with scripted_server(OneByOne()) as port:
        serve_from(port)
        sweep()
    tomorrow = utcnow() + timedelta(hours=25)
    with Sink() as repaired, time_machine.travel(tomorrow), app.app_context():
        serve_from(repaired.port)
        due_mailing(user)
        sweep()
        assert len(repaired.letters) == LETTERS
        assert routes.admit(routes.PRIMARY, utcnow(), owner_id=1).memory.step_by_step_since is None


def test_a_refusal_for_other_reasons_is_not_blamed_on_pipelining(
    app: Flask, session: Session, user: User, serve_from: ServeFrom, sweep: Work
) -> None:
    """The letter was refused step by step too, so it has failed, and pipelining continues."""
    refused, *others = create_clients(user, LETTERS)

    def refuse_first(turn: Turn) -> None:
        if turn.stage is Stage.RCPT and turn.recipient == refused.email:
            turn.say("554 5.7.1 <someone>: Recipient address rejected: Access denied")

    due_mailing(user)
    with Sink(refuse_first) as sink:
        serve_from(sink.port)
        sweep()

    assert count_states(session, get_only_run(session)) == {"sent": len(others), "failed": 1}
    assert sink.stage_counts[Stage.RCPT] == LETTERS + 1
    with app.app_context():
        assert routes.admit(routes.PRIMARY, utcnow(), owner_id=1).memory.step_by_step_since is None


def test_a_silent_server_is_not_blamed_on_pipelining(
    app: Flask, session: Session, user: User, serve_from: ServeFrom, sweep: Work
) -> None:
    create_clients(user, 1)

    def never_reply(turn: Turn) -> None:
        if turn.stage is Stage.MAIL:
            turn.wait_for_client()

    due_mailing(user)
    with Sink(never_reply) as sink:
        serve_from(sink.port)
        sweep()
        with app.app_context():
            assert routes.admit(routes.PRIMARY, utcnow(), owner_id=1).memory.step_by_step_since is None
    assert count_states(session, get_only_run(session)) == {"deferred": 1}


def test_a_letter_larger_than_the_server_accepts_is_not_sent(
    session: Session, user: User, serve_from: ServeFrom, sweep: Work
) -> None:
    create_clients(user, 5)
    due_mailing(user)
    with Sink(extensions=("PIPELINING", "SIZE 500")) as sink:
        serve_from(sink.port)
        sweep()

    assert sink.stage_counts[Stage.MAIL] == 0
    assert count_states(session, get_only_run(session)) == {"failed": 5}
    answers = set(session.scalars(select(Attempt.answer)))
    assert all("the mail server accepts at most 500" in answer for answer in answers)


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE 10485760", "SIZE many"])
def test_a_server_without_a_limit_gets_letters_of_any_size(
    session: Session, user: User, serve_from: ServeFrom, sweep: Work, size: str
) -> None:
    create_clients(user, 2)
    due_mailing(user)
    with Sink(extensions=(size,)) as sink:
        serve_from(sink.port)
        sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 2}


def test_doctor_reports_what_a_mail_server_cannot_do(
    app: Flask, session: Session, user: User, serve_from: ServeFrom, sweep: Work
) -> None:
    create_clients(user, 2)
    due_mailing(user)
    with scripted_server(OneByOne()) as port:
        serve_from(port)
        sweep()
        with app.app_context():
            (check, *_) = mail_servers.check_mail_servers()
    assert check.is_ok
    assert "offers PIPELINING, but it does not work" in check.finding
