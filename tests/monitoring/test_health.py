"""Test /healthz and /readyz, which load balancers and monitors use."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app, schedule
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import BreakerState, Route
from skymailing.worker import make_worker


@pytest.fixture
def app_without_database(environment: dict[str, str]) -> Iterator[Flask]:
    """Yield an app that cannot reach its database server."""
    app = create_app(TestingConfig(environment | {"DATABASE_URL": "postgresql://127.0.0.1:1/nothing"}))
    yield app
    with app.app_context():
        db.engine.dispose()


def test_healthz_succeeds_without_a_database(app_without_database: Flask) -> None:
    response = app_without_database.test_client().get("/healthz")

    assert (response.status_code, response.text) == (200, "ok\n")


def test_without_a_database_the_service_is_unavailable(app_without_database: Flask) -> None:
    response = app_without_database.test_client().get("/readyz")

    assert response.status_code == 503
    assert response.json is not None
    assert response.json["status"] == "unavailable"
    assert not response.json["checks"]["database"]["ok"]


def test_tables_from_another_version_make_the_service_unavailable(
    environment: dict[str, str], tmp_path: Path
) -> None:
    app = create_app(TestingConfig(environment | {"DATABASE_URL": f"sqlite:///{tmp_path / 'empty.db'}"}))

    response = app.test_client().get("/readyz")

    assert response.status_code == 503
    assert response.json is not None
    assert "revision none" in response.json["checks"]["database"]["reason"]
    with app.app_context():
        db.engine.dispose()


def test_without_scheduler_and_workers_the_service_is_degraded(visitor: FlaskClient) -> None:
    response = visitor.get("/readyz")

    assert response.status_code == 200
    assert response.json is not None
    assert response.json["status"] == "degraded"
    assert [name for name, part in response.json["checks"].items() if not part["ok"]] == [
        "scheduler",
        "workers",
    ]


def test_with_scheduler_and_worker_the_service_is_ready(app: Flask, visitor: FlaskClient) -> None:
    with app.app_context():
        schedule.make_scheduler().register_birth()
        worker = make_worker()

        response = visitor.get("/readyz")

        worker.connection.close()
    assert response.json is not None
    assert response.json["status"] == "ready", response.json


def test_an_open_breaker_is_shown_with_the_servers_message(visitor: FlaskClient, session: Session) -> None:
    session.execute(
        insert(Route).values(
            name="main",
            state=BreakerState.OPEN,
            retry_at=utcnow() + timedelta(minutes=1),
            last_fault="535 wrong password",
        )
    )

    response = visitor.get("/readyz")

    assert response.status_code == 200
    assert response.json is not None
    assert response.json["status"] == "degraded"
    assert "535 wrong password" in response.json["checks"]["mail"]["reason"]


def test_without_redis_the_service_is_degraded_with_reasons(
    app: Flask, visitor: FlaskClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "REDIS_URL", "unix:///nowhere/redis.sock")
    monkeypatch.delitem(app.extensions, "skymailing_redis", raising=False)

    response = visitor.get("/readyz")

    assert response.status_code == 200
    assert response.json is not None
    assert response.json["status"] == "degraded"
    for name in ("redis", "scheduler", "workers"):
        assert not response.json["checks"][name]["ok"]
        assert response.json["checks"][name]["reason"]
    app.extensions.pop("skymailing_redis")


@pytest.mark.parametrize(
    ("address", "headers", "is_shown"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("203.0.113.7", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}, False),
        ("203.0.113.7", {"Authorization": "Bearer wrong"}, False),
        ("203.0.113.7", {"Authorization": "Bearer open sesame"}, True),
    ],
)
def test_reasons_are_shown_to_this_host_and_with_the_token_only(
    app: Flask,
    visitor: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    headers: dict[str, str],
    is_shown: bool,
) -> None:
    monkeypatch.setitem(app.config, "METRICS_TOKEN", "open sesame")
    response = visitor.get("/readyz", headers=headers, environ_overrides={"REMOTE_ADDR": address})
    assert response.json is not None
    assert response.json["status"] == "degraded"
    assert {part["ok"] for part in response.json["checks"].values()} == {True, False}
    assert all(("reason" in part) is is_shown for part in response.json["checks"].values())
