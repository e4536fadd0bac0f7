"""Test that a host that vanishes during a transaction does not block other hosts for long."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.clock import utcnow
from skymailing.delivery.ledger.run_counts import Changes, run_keys
from skymailing.errors import ConfigurationError
from skymailing.extensions import db
from skymailing.models import DeliveryState, RunInterval, User
from skymailing.settings.database import build_engine_options
from tests.processes.service import PROJECT_DIR
from tests.support.factories import RunFactory

NewApp = Callable[..., Flask]
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def new_app(environment: dict[str, str], session: Session) -> Iterator[NewApp]:
    """Return a function that creates an app on the test's database with other settings."""
    apps: list[Flask] = []

    def create(**settings: str) -> Flask:
        apps.append(create_app(TestingConfig(environment | settings)))
        return apps[-1]

    yield create
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@POSTGRESQL
def test_the_server_knows_the_limits(new_app: NewApp) -> None:
    with new_app(DATABASE_IDLE_SECONDS="7", DATABASE_LOCK_SECONDS="5").app_context():
        shown = [db.session.scalar(select(func.current_setting(name))) for name in LIMITS]
    assert shown == ["7s", "5s"]


LIMITS = ("idle_in_transaction_session_timeout", "lock_timeout")


@POSTGRESQL
def test_a_transaction_of_a_vanished_host_ends_and_its_locks_with_it(
    new_app: NewApp, session: Session, user: User
) -> None:
    statement = update(User).where(User.id == user.id).values(name="changed")
    vanished = new_app(DATABASE_IDLE_SECONDS="1")
    with vanished.app_context():
        connection = db.engine.connect()
        connection.execute(statement)  # the host sends nothing more, and does not close the connection

    start = time.monotonic()
    with new_app().app_context():
        db.session.execute(statement)
        db.session.commit()

    assert 0.5 < time.monotonic() - start < 5
    connection.invalidate()
    connection.close()


@POSTGRESQL
def test_waiting_for_a_lock_ends_with_an_error_that_is_retried(
    new_app: NewApp, session: Session, user: User
) -> None:
    statement = update(User).where(User.id == user.id).values(name="changed")
    with new_app(DATABASE_LOCK_SECONDS="1").app_context(), db.engine.begin() as holder:
        holder.execute(statement)
        start = time.monotonic()

        with pytest.raises(OperationalError, match="lock timeout"):
            db.session.execute(statement)

    assert time.monotonic() - start < 5


HOLD = """
import sys
from config import TestingConfig
from skymailing import create_app
from skymailing.delivery.ledger.run_counts import Changes, run_keys
from skymailing.extensions import db
from skymailing.models import DeliveryState
import os
with create_app(TestingConfig(os.environ)).app_context(), db.engine.begin() as connection:
    (run,) = run_keys(connection, [int(sys.argv[1])])
    changes = Changes(run)
    changes.move(DeliveryState.SENT, 2, run.started_at)
    changes.write(connection)
    print("held", flush=True)
    sys.stdin.read()
"""


@POSTGRESQL
def test_another_worker_counts_in_the_same_interval_while_a_transaction_is_stuck(
    new_app: NewApp, environment: dict[str, str], session: Session
) -> None:
    run_id = RunFactory.create(planned=3, started_at=utcnow()).id
    session.commit()
    stuck = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run_id)],
        cwd=PROJECT_DIR,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stuck.stdout is not None
    assert stuck.stdout.readline() == "held\n"

    with new_app(DATABASE_LOCK_SECONDS="1").app_context(), db.engine.begin() as connection:
        (run,) = run_keys(connection, [run_id])
        changes = Changes(run)
        changes.move(DeliveryState.SENT, 1, run.started_at)
        changes.write(connection)
    stuck.communicate(timeout=20)

    intervals = session.execute(
        select(RunInterval.elapsed, RunInterval.sent).where(RunInterval.run_id == run_id)
    )
    assert sorted(intervals.tuples()) == [(0, 1), (0, 2)]


@pytest.mark.one_engine
def test_limits_can_be_turned_off_and_options_in_the_url_are_kept() -> None:
    none = {"idle": 0, "lock": 0, "network": 0}
    url = "postgresql+psycopg://user@host/name"
    assert build_engine_options(url, none)["connect_args"] == {"connect_timeout": 10}
    with_limit = build_engine_options(url + "?options=-c%20work_mem%3D1MB", none | {"lock": 5})
    assert with_limit["connect_args"]["options"] == "-c lock_timeout=5000 -c work_mem=1MB"
    assert "connect_args" not in build_engine_options("sqlite:///x.db", none)


@pytest.mark.one_engine
def test_a_limit_that_is_not_a_number_names_the_setting(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_LOCK_SECONDS must be a whole number"):
        TestingConfig(environment | {"DATABASE_LOCK_SECONDS": "soon"})
