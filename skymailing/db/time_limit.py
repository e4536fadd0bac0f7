"""Stop statements that take too long for a page; each database has its own mechanism."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from skymailing.errors import UserError
from skymailing.extensions import db

MAX_SECONDS = 10.0  # for the statements of one page
# Steps of SQLite's virtual machine between two checks of the clock: some tenths of a millisecond.
STEPS = 10_000
QUERY_CANCELED = "57014"  # PostgreSQL's SQLSTATE


class TookTooLong(UserError):
    """The statements of a page were stopped."""

    def __init__(self) -> None:
        super().__init__("page_too_slow")


@contextmanager
def limit_time(seconds: float | None = None) -> Iterator[None]:
    """Stop the session's statements after `seconds` in total, by default MAX_SECONDS; raises TookTooLong.

    The transaction remains usable. The statements inside must only read.
    """
    ends_at = time.monotonic() + (MAX_SECONDS if seconds is None else seconds)
    connection = db.session.connection()
    is_postgresql = connection.dialect.name == "postgresql"

    def check(_connection: Connection, cursor: Any, *_rest: Any) -> None:
        left = ends_at - time.monotonic()
        if left <= 0:
            raise TookTooLong
        if is_postgresql:
            cursor.execute(f"SET LOCAL statement_timeout = {max(1, int(left * 1000))}")

    try:
        with _keep_transaction(connection) if is_postgresql else _watch_clock(connection, ends_at):
            event.listen(connection, "before_cursor_execute", check)
            try:
                yield
            finally:
                event.remove(connection, "before_cursor_execute", check)
    except OperationalError as error:
        is_stopped = getattr(error.orig, "sqlstate", "") == QUERY_CANCELED or "interrupted" in str(error.orig)
        if not is_stopped:
            raise
        raise TookTooLong from error


@contextmanager
def _keep_transaction(connection: Connection) -> Iterator[None]:
    """Return to a savepoint when a statement is stopped, which also resets its time limit."""
    with db.session.begin_nested():
        yield
        connection.exec_driver_sql("SET LOCAL statement_timeout TO DEFAULT")


@contextmanager
def _watch_clock(connection: Connection, ends_at: float) -> Iterator[None]:
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: time.monotonic() > ends_at, STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
