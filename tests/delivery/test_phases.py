"""Test that `/metrics` shows the time spent on the mail server by phase."""

import ssl
import time
from collections.abc import Callable

import pytest
import trustme
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.counters import KEY
from skymailing.delivery.metrics import PHASES
from skymailing.models import User
from tests.faults.conftest import Engine, engine  # noqa: F401 - a fixture
from tests.faults.sink import Sink, Stage, Turn
from tests.faults.test_tls_auth import _trust, authority, make_server_context  # noqa: F401 - fixtures
from tests.monitoring.test_metrics import read_metrics
from tests.support.factories import create_clients, due_mailing

DELAY = 0.5  # seconds; far more than all other phases take

pytestmark = pytest.mark.one_engine

ReadSeconds = Callable[[], dict[str, float]]


@pytest.fixture
def read_seconds(app: Flask, visitor: FlaskClient) -> ReadSeconds:
    """Return a function that reads the seconds spent in each phase since the test began."""
    with app.app_context():
        queue.connection().delete(KEY)

    def read_phases() -> dict[str, float]:
        numbers = read_metrics(visitor)
        return {phase: numbers["skymailing_smtp_seconds_sum", phase] for phase in PHASES}

    return read_phases


def delay_at(stage: Stage) -> Callable[[Turn], None]:
    """Return a script that delays the first reply at this stage."""
    replies = 0

    def script(turn: Turn) -> None:
        nonlocal replies
        replies += turn.stage is stage
        if turn.stage is stage and replies == 1:
            time.sleep(DELAY)

    return script


@pytest.mark.parametrize(
    ("stage", "phase", "pipelining"),
    [
        (Stage.GREETING, "greeting", True),
        (Stage.EHLO, "ehlo", True),
        (Stage.STARTTLS, "tls", True),
        (Stage.AUTH, "auth", True),
        (Stage.RCPT, "envelope", True),
        (Stage.MAIL, "envelope", False),
        (Stage.DOT, "content", True),
        (Stage.DOT, "content", False),
    ],
)
def test_a_delay_is_counted_only_in_its_phase_and_the_total(
    session: Session,
    user: User,
    engine: Engine,  # noqa: F811
    authority: trustme.CA,  # noqa: F811
    read_seconds: ReadSeconds,
    stage: Stage,
    phase: str,
    pipelining: bool,
) -> None:
    create_clients(user, 3)
    context: ssl.SSLContext = make_server_context(authority)
    extensions = ("STARTTLS", "AUTH PLAIN LOGIN", *(["PIPELINING"] if pipelining else []))
    with Sink(delay_at(stage), tls=context, extensions=extensions) as sink:
        engine.use_server(sink.port, server="localhost", use_tls=True, username="sky", password="s3cret")
        engine.start(due_mailing(user))
    assert len(sink.letters) == 3

    spent = read_seconds()

    assert spent[phase] >= DELAY
    total = "letter" if phase in ("envelope", "content") else "open"
    assert spent[total] >= DELAY
    assert all(spent[other] < DELAY for other in PHASES if other not in {phase, total}), spent


def test_a_failure_to_open_a_session_is_counted_in_its_phase(
    session: Session,
    user: User,
    engine: Engine,  # noqa: F811
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    read_seconds: ReadSeconds,
) -> None:
    create_clients(user, 1)
    monkeypatch.setitem(app.config, "MAIL_TIMEOUT", DELAY)
    with Sink(lambda turn: turn.wait_for_client()) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))

    spent = read_seconds()

    assert spent["greeting"] >= DELAY * 0.9
    assert spent["ehlo"] == spent["letter"] == 0


def test_the_phases_add_up_to_their_totals(
    session: Session,
    user: User,
    engine: Engine,  # noqa: F811
    read_seconds: ReadSeconds,
) -> None:
    clients = create_clients(user, 30)

    def refuse_some(turn: Turn) -> None:
        if turn.stage is Stage.RCPT and turn.recipient == clients[3].email:
            turn.say("550 5.1.1 no such user")

    with Sink(refuse_some) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))
    assert len(sink.letters) == 29

    spent = read_seconds()

    assert spent["letter"] == pytest.approx(spent["envelope"] + spent["content"])
    parts = [spent[phase] for phase in ("connect", "greeting", "ehlo", "tls", "auth")]
    assert spent["open"] == pytest.approx(sum(parts))
    assert min(spent["envelope"], spent["content"]) > 0
