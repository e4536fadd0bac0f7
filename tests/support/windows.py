"""Simulate two simultaneous browser windows. This needs two write transactions, so PostgreSQL only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection

from skymailing.extensions import db

TIMEOUT = 20  # seconds


class Window(Thread):
    """Another window, whose request waits for a lock that the test holds."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self._act = act
        self.result: Any = None

    def run(self) -> None:
        self.result = self._act()

    def wait_for_lock(self) -> None:
        self.start()
        self.join(0.5)
        assert self.is_alive(), "the window did not wait for the lock"

    def finish(self) -> Any:
        self.join(TIMEOUT)
        return self.result


@contextmanager
def transaction(app: Flask) -> Iterator[Connection]:
    with app.app_context():
        engine = db.engine
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
        yield connection


def make_posting_window(browser: FlaskClient, path: str, data: dict[str, Any]) -> Window:
    return Window(lambda: browser.post(path, data=data, headers={"Accept": "text/html"}))
