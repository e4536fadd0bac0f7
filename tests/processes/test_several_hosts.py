"""One installation on two hosts: what happens when one of them is lost for good in the middle of a run."""

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
from skymailing.delivery.journal import known_leases
from skymailing.extensions import db
from skymailing.models import Attempt, Delivery, DeliveryState, OnUnknown, Outcome, RunState
from tests.delivery.ledger import check_ledger, only_run, states
from tests.faults.sink import Sink, Stage, Turn
from tests.faults.workers import add_clients
from tests.processes.hosts import Host, redis_with_password
from tests.processes.service import wait_until
from tests.support.factories import UserFactory, bind, due_mailing

RECIPIENTS = 1_500
SESSIONS = 5  # of a worker, at most
LEASE_SECONDS = 1 + 3 + 2


@pytest.fixture
def sink() -> Iterator[Sink]:
    def take_a_moment(turn: Turn) -> None:
        if turn.stage is Stage.DOT:
            time.sleep(0.02)

    with Sink(take_a_moment) as sink:
        yield sink


@pytest.fixture
def settings(postgres_url: str, sink: Sink, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What the hosts have in common."""
    name = f"hosts_{time.monotonic_ns()}"
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        with redis_with_password(tmp_path / "redis") as redis_url:
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
    """A host with everything and one with a worker alone, both at work."""
    first, second = Host(tmp_path / "first", settings), Host(tmp_path / "second", settings)
    first.run("db", "upgrade")
    first.start("web", "worker", "scheduler")
    second.start("worker")
    yield first, second
    first.stop()
    second.stop()


@pytest.fixture
def observer(settings: dict[str, str], tmp_path: Path) -> Iterator[Flask]:
    """An app of the test's own on the same two servers."""
    app = create_app(load_config(settings | {"DATA_DIR": str(tmp_path / "observer")}))
    yield app
    with app.app_context():
        db.engine.dispose()


def count_leases(session: Session) -> int:
    """Return how many workers hold letters right now."""
    is_sending = Delivery.state == DeliveryState.SENDING
    return session.scalar(select(func.count(func.distinct(Delivery.lease_token))).where(is_sending)) or 0


def count_held(session: Session, host: Host) -> int:
    """Return how many letters the host's workers hold by what their journals say."""
    tokens = known_leases(host.data_dir / "journal")
    held = (Delivery.state == DeliveryState.SENDING) & Delivery.lease_token.in_(tokens)
    return session.scalar(select(func.count()).select_from(Delivery).where(held)) or 0


def test_a_host_that_is_lost_for_good_costs_what_it_held_and_no_more(
    hosts: tuple[Host, Host], observer: Flask, sink: Sink
) -> None:
    first, second = hosts
    with observer.app_context():
        wait_until(lambda: queue.count_workers() == 2, "both workers are there")
        engine = create_engine(db.engine.url, isolation_level="AUTOCOMMIT")
    with closing(Session(engine, expire_on_commit=False)) as session:
        bind(session, observer)
        owner = UserFactory.create()
        add_clients(session, owner, RECIPIENTS)
        mailing = due_mailing(owner, on_unknown=OnUnknown.HOLD)
        with observer.app_context():
            queue.enqueue("start_mailing", mailing.id)
        wait_until(lambda: len(sink.letters) > RECIPIENTS // 4, "letters arrive")
        wait_until(lambda: count_leases(session) == 2, "both hosts hold letters")

        second.lose_power()
        lost_at = time.monotonic()
        time.sleep(0.5)  # what it had asked of the database last has taken effect
        held = count_held(session, second)
        wait_until(
            lambda: only_run(session).state is RunState.FINISHED, "the run ends without the lost host", 90
        )

        run = only_run(session)
        counts = states(session, run)
        lost = counts.pop("unknown", 0)
        assert time.monotonic() - lost_at > LEASE_SECONDS - 1, (
            "until then the lost host might have been alive"
        )
        assert counts == {"sent": RECIPIENTS - lost}
        assert set(sink.per_address().values()) == {1}, "nobody got a second letter"
        assert lost == held > 0, "only what the lost host held is unknown"
        answers = session.scalars(select(Attempt.answer).where(Attempt.outcome == Outcome.UNKNOWN)).all()
        assert all("left no record" in answer for answer in answers)
        assert len(answers) == lost
        check_ledger(session, run, sink.letters)
        assert len(second.journals) == 1, "nobody else can have read it"
        with urllib.request.urlopen(f"http://127.0.0.1:{first.port}/healthz", timeout=5) as answer:
            assert answer.status == 200

        # Should its disk come back after all, what it knew is not lost.
        second.start("worker")
        arrived = len(sink.letters)
        wait_until(lambda: states(session, run)["sent"] >= arrived - SESSIONS, "its journal is read back")
        assert len(sink.letters) == arrived
        check_ledger(session, only_run(session), sink.letters)
    engine.dispose()
