"""Test one installation on two hosts, one of which is lost during a run."""

import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from config import load_config
from skymailing import create_app, queue
from skymailing.delivery.journal import list_known_leases
from skymailing.extensions import db
from skymailing.models import Attempt, Delivery, DeliveryState, OnUnknown, Outcome, RunState
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.sink import Sink, Stage, Turn
from tests.faults.workers import add_clients
from tests.processes.hosts import Host, run_redis_with_password
from tests.processes.service import wait_until
from tests.support.factories import UserFactory, bind, due_mailing

RECIPIENTS = 1_500
SESSIONS = 5  # the maximum per worker
LEASE_SECONDS = 1 + 3 + 2  # a window, a letter and the margin


@pytest.fixture
def sink() -> Iterator[Sink]:
    def reply_slowly(turn: Turn) -> None:
        if turn.stage is Stage.DOT:
            time.sleep(0.02)

    with Sink(reply_slowly) as sink:
        yield sink


@pytest.fixture
def settings(postgres_url: str, sink: Sink, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield the settings for both hosts."""
    name = f"hosts_{time.monotonic_ns()}"
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        with run_redis_with_password(tmp_path / "redis") as redis_url:
            yield {
                "SKYMAILING_ENV": "production",
                "SECRET_KEY": "only-for-tests-" * 3,
                "PUBLIC_URL": "https://sky.example",
                "DATABASE_URL": postgres_url.replace("/postgres?", f"/{name}?"),
                "REDIS_URL": redis_url,
                "MAIL_SERVER": "127.0.0.1",
                "MAIL_PORT": str(sink.port),
                "MAIL_DEFAULT_SENDER": "letters@sky.example",
                "MAIL_MAX_CONNECTIONS": str(SESSIONS),
                "ENGINE_LETTER_SECONDS": "3",
                "ENGINE_LEASE_MARGIN_SECONDS": "2",
            }
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def hosts(settings: dict[str, str], tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Start one host with all processes and one with only a worker; yield both."""
    first, second = Host(tmp_path / "first", settings), Host(tmp_path / "second", settings)
    first.run("db", "upgrade")
    first.start("web", "worker", "scheduler")
    second.start("worker")
    yield first, second
    first.stop()
    second.stop()


@pytest.fixture
def observer(settings: dict[str, str], tmp_path: Path) -> Iterator[Flask]:
    """Yield an app for the test, on the same database and Redis."""
    app = create_app(load_config(settings | {"DATA_DIR": str(tmp_path / "observer")}))
    yield app
    with app.app_context():
        db.engine.dispose()


def count_leases(session: Session) -> int:
    """Return how many workers currently hold letters."""
    is_sending = Delivery.state == DeliveryState.SENDING
    return session.scalar(select(func.count(func.distinct(Delivery.lease_token))).where(is_sending)) or 0


def count_held_letters(session: Session, host: Host) -> int:
    """Return how many letters the host's workers hold, according to their journals."""
    tokens = list_known_leases(host.data_dir / "journal")
    is_held = (Delivery.state == DeliveryState.SENDING) & Delivery.lease_token.in_(tokens)
    return session.scalar(select(func.count()).select_from(Delivery).where(is_held)) or 0


def test_when_a_host_is_lost_only_its_letters_become_unknown(
    hosts: tuple[Host, Host], observer: Flask, sink: Sink
) -> None:
    first, second = hosts
    with observer.app_context():
        wait_until(lambda: queue.count_workers() == 2, "both workers are connected")
        engine = create_engine(db.engine.url, isolation_level="AUTOCOMMIT")
    with closing(Session(engine, expire_on_commit=False)) as session:
        bind(session, observer)
        start_run(session, observer, sink)

        second.lose_power()
        lost_at = time.monotonic()
        time.sleep(0.5)  # let its last statement take effect
        held = count_held_letters(session, second)
        wait_until(
            lambda: get_only_run(session).state is RunState.FINISHED, "the run ends without the lost host", 90
        )

        assert time.monotonic() - lost_at > LEASE_SECONDS - 1, (
            "until then, the lost host could still have been alive"
        )
        check_lost_letters(session, sink, held)
        assert len(second.journals) == 1, "no other host can read the journal"
        with urllib.request.urlopen(f"http://127.0.0.1:{first.port}/healthz", timeout=5) as response:
            assert response.status == 200

        # When the host returns with its disk, its results are recorded.
        run = get_only_run(session)
        second.start("worker")
        arrived = len(sink.letters)
        wait_until(
            lambda: count_states(session, run)["sent"] >= arrived - SESSIONS, "its journal is read back"
        )
        assert len(sink.letters) == arrived
        check_ledger(session, get_only_run(session), sink.letters)
    engine.dispose()


def start_run(session: Session, observer: Flask, sink: Sink) -> None:
    """Start a run and wait until both hosts send its letters."""
    owner = UserFactory.create()
    add_clients(session, owner, RECIPIENTS)
    mailing = due_mailing(owner, on_unknown=OnUnknown.HOLD)
    with observer.app_context():
        queue.enqueue("start_mailing", mailing.id)
    wait_until(lambda: len(sink.letters) > RECIPIENTS // 4, "letters arrive")
    wait_until(lambda: count_leases(session) == 2, "both hosts hold letters")


def check_lost_letters(session: Session, sink: Sink, held: int) -> None:
    """Check that exactly the letters that the lost host held are unknown."""
    run = get_only_run(session)
    counts = count_states(session, run)
    lost = counts.pop("unknown", 0)
    assert counts == {"sent": RECIPIENTS - lost}
    assert set(sink.per_address().values()) == {1}, "no one got a second letter"
    assert lost == held > 0, "only letters that the lost host held are unknown"
    answers = session.scalars(select(Attempt.answer).where(Attempt.outcome == Outcome.UNKNOWN)).all()
    assert all("left no record" in answer for answer in answers)
    assert len(answers) == lost
    check_ledger(session, run, sink.letters)
