"""Provide a second app on the same database and Redis, and an app with its own Redis."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.blog.view_counts import gathered_views
from skymailing.extensions import db
from tests.support.servers import RedisServer


@pytest.fixture
def other_app(environment: dict[str, str], session: Session) -> Iterator[Flask]:
    """Yield a second app, which shares with the first only what another process would."""
    app = create_app(TestingConfig(environment))
    yield app
    gathered_views(app).send_all()
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def app_with_own_redis(
    environment: dict[str, str], session: Session, tmp_path: Path
) -> Iterator[tuple[Flask, RedisServer]]:
    """Yield an app with its own Redis, which a test can stop."""
    server = RedisServer(tmp_path)
    server.start()
    app = create_app(TestingConfig(environment | {"REDIS_URL": server.url}))
    yield app, server
    with app.app_context():
        db.engine.dispose()
    if server.process.poll() is None:
        server.stop()


Edit = Callable[[Flask, object], None]


@pytest.fixture
def edit(session: Session) -> Edit:
    """Return a function that commits a change in an app, as views, jobs and commands do."""

    def execute(app: Flask, statement: object) -> None:
        with app.app_context():
            db.session.execute(statement)  # type: ignore[call-overload]
            db.session.commit()

    return execute
