"""Provide fixtures that import files and lower the thresholds for bulk jobs."""

import io
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clients import imports, tasks
from skymailing.clients.bulk import services
from skymailing.clients.bulk import tasks as bulk_tasks
from skymailing.extensions import db
from skymailing.models import Client, ClientImport, User
from tests.clients.bulk_jobs import get_job
from tests.support.factories import SuppressionFactory, create_clients

Import = Callable[..., ClientImport]
Finish = Callable[[], None]


@pytest.fixture
def context(app: Flask, session: Session) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture
def create(context: None, session: Session, user: User) -> Import:
    """Return a function that creates an import in the same way as the page."""

    def create_import(content: str | bytes, owner: User = user) -> ClientImport:
        data = content.encode() if isinstance(content, str) else content
        import_ = imports.create_import(
            owner.id, "clients.csv", imports.inspect_table(io.BytesIO(data)), data
        )
        db.session.commit()
        import_id = import_.id
        db.session.remove()
        return session.get_one(ClientImport, import_id)

    return create_import


@pytest.fixture
def run(create: Import, session: Session) -> Import:
    """Return a function that imports a whole file."""

    def run_import(content: str | bytes, **values: User) -> ClientImport:
        import_ = create(content, **values)
        assert tasks.run_import_slice(import_.id) is False
        db.session.remove()
        session.refresh(import_)
        return import_

    return run_import


@pytest.fixture
def low_bulk_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run actions on more than two clients as a job, in chunks of three."""
    monkeypatch.setattr(services, "AT_ONCE", 2)
    monkeypatch.setattr(services, "CHUNK", 3)


@pytest.fixture
def clients(session: Session, user: User) -> list[Client]:
    """Create eight clients, one of whom has unsubscribed."""
    clients = create_clients(user, 8)
    SuppressionFactory.create(owner_id=user.id, email_key=clients[0].email_key)
    return clients


@pytest.fixture
def finish(app: Flask, session: Session) -> Finish:
    """Return a function that performs the latest job without a queue."""

    def run_job() -> None:
        with app.app_context():
            assert bulk_tasks.run_slice(get_job(session).id, lambda _elapsed: False) is False

    return run_job
