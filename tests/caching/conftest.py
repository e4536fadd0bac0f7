"""A second app for the same database and Redis, and one whose Redis may be stopped."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.extensions import db
from tests.support.servers import RedisServer


@pytest.fixture
def other_app(environment: dict[str, str], session: Session) -> Iterator[Flask]:
    """The same service in another process, as far as caches are concerned."""
    app = create_app(TestingConfig(environment))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def lonely_app(
    environment: dict[str, str], session: Session, tmp_path: Path
) -> Iterator[tuple[Flask, RedisServer]]:
    """A service with a Redis of its own that tests may stop."""
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
    """Return a function that commits a change as a view, a job or a command of this app would."""

    def do(app: Flask, statement: object) -> None:
        with app.app_context():
            db.session.execute(statement)  # type: ignore[call-overload]
            db.session.commit()

    return do
