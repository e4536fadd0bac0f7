"""Provide fixtures that start mailings, run sweeps, choose the mail server and create workers."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing import jobs, queue
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.models import Mailing, User
from tests.delivery.worker import NewWorker, Worker
from tests.support.factories import create_clients

Work = Callable[[], None]
Start = Callable[[Mailing], None]
ServeFrom = Callable[..., None]


@pytest.fixture
def start(app: Flask, work: Work) -> Callable[[Mailing], None]:
    """Return a function that starts a mailing and runs all resulting jobs."""

    def start_mailing(mailing: Mailing) -> None:
        with app.app_context():
            queue.enqueue("start_mailing", mailing.id)
        work()

    return start_mailing


@pytest.fixture
def sweep(app: Flask, work: Work) -> Work:
    """Return a function that runs one sweep and all resulting jobs."""

    def run_sweep() -> None:
        with app.app_context():
            jobs.sweep()
        work()

    return run_sweep


@pytest.fixture
def serve_from(app: Flask, session: Session) -> Iterator[ServeFrom]:
    """Return a function that sets the ports of the first and, if given, the second mail server."""
    settings, port = app.extensions["mail"], app.extensions["mail"].port

    def use(first: int, second: int | None = None) -> None:
        with app.app_context():
            close_dispatcher()
        settings.port = first
        app.config["MAIL_FALLBACK"] = second and SimpleNamespace(
            server="127.0.0.1", port=second, use_tls=False, use_ssl=False, username=None, password=None
        )

    yield use
    use(port)


@pytest.fixture
def new_worker(app: Flask, user: User) -> Iterator[NewWorker]:
    """Return a function that creates a worker for a mailing to all clients."""
    workers: list[Worker] = []

    def create_worker(**values: Any) -> Worker:
        workers.append(Worker.for_new_mailing(app, user, **values))
        return workers[-1]

    yield create_worker
    for worker in workers:
        worker.die()
        worker.journal.path.unlink(missing_ok=True)


@pytest.fixture
def clients(user: User) -> list[str]:
    return [client.email for client in create_clients(user, 3)]
