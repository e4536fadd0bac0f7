"""What the engine's tests share: letting mailings start, sweeping, and choosing the mail server."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing import jobs, queue
from skymailing.delivery.send import close_dispatcher
from skymailing.models import Mailing, User
from tests.delivery.worker import Engage, Worker
from tests.support.factories import create_clients

Work = Callable[[], None]
Start = Callable[[Mailing], None]
ServeFrom = Callable[..., None]


@pytest.fixture
def start(app: Flask, work: Work) -> Callable[[Mailing], None]:
    """Return a function that lets a mailing start and workers do all that follows at once."""

    def do(mailing: Mailing) -> None:
        with app.app_context():
            queue.enqueue("start_mailing", mailing.id)
        work()

    return do


@pytest.fixture
def sweep(app: Flask, work: Work) -> Work:
    """Return a function that does one sweep and all that follows from it."""

    def do() -> None:
        with app.app_context():
            jobs.sweep()
        work()

    return do


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
def engage(app: Flask, user: User) -> Iterator[Engage]:
    """Return a function that engages a worker for a mailing to all clients."""
    engaged: list[Worker] = []

    def do(**values: Any) -> Worker:
        engaged.append(Worker(app, user, **values))
        return engaged[-1]

    yield do
    for worker in engaged:
        worker.die()
        worker.journal.path.unlink(missing_ok=True)


@pytest.fixture
def clients(user: User) -> list[str]:
    return [client.email for client in create_clients(user, 3)]
