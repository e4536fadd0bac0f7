"""Locks that keep everybody else from writing, as a long-running backup or a forgotten console does."""

import threading

from sqlalchemy import Connection, create_engine
from sqlalchemy.orm import Session


class DatabaseLock:
    """Taken at most once, by whoever comes first, and held until released."""

    def __init__(self, session: Session) -> None:
        self._engine = create_engine(session.get_bind().engine.url)
        self._connection: Connection | None = None
        self._guard = threading.Lock()

    def take(self) -> None:
        with self._guard:
            if self._connection is not None:
                return
            self._connection = self._engine.connect()
            if self._engine.dialect.name == "sqlite":
                driver = self._connection.connection.driver_connection
                assert driver is not None
                driver.isolation_level = None
                driver.execute("PRAGMA busy_timeout = 10000")
                driver.execute("BEGIN IMMEDIATE")
            else:
                # Readers go on, as they do with SQLite; writers wait.
                self._connection.exec_driver_sql(
                    "LOCK TABLE deliveries, attempts IN SHARE ROW EXCLUSIVE MODE"
                )

    def release(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # ends the transaction from whatever thread this is
            self._connection.close()
        self._engine.dispose()


def lock_deliveries(session: Session) -> DatabaseLock:
    """Return a lock on the database of `session` that keeps the ledger from being written."""
    return DatabaseLock(session)
