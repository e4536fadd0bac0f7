"""Block all writers with a lock, as a long backup or an open console session does."""

import threading

from sqlalchemy import Connection, create_engine
from sqlalchemy.orm import Session


class DatabaseLock:
    """A lock that is taken by the first call of `acquire` and held until `release`."""

    def __init__(self, session: Session) -> None:
        self._engine = create_engine(session.get_bind().engine.url)
        self._connection: Connection | None = None
        self._guard = threading.Lock()

    def acquire(self) -> None:
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
                # This blocks writers but not readers, as on SQLite.
                self._connection.exec_driver_sql(
                    "LOCK TABLE deliveries, attempts IN SHARE ROW EXCLUSIVE MODE"
                )

    def release(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # ends the transaction, even from another thread
            self._connection.close()
        self._engine.dispose()


def lock_deliveries(session: Session) -> DatabaseLock:
    """Return a lock that prevents writes to the ledger in the database of `session`."""
    return DatabaseLock(session)
