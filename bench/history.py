"""Fill a database with years of use, with SQL statements for both databases.

The first owner has most of the clients and letters. IDs increase with time, as in real use.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from bench.history_sql import OWNER, list_statements
from bench.search import build_index
from bench.service import Service
from skymailing.clock import utcnow

YEARS = 5
DELETED = 4  # the number of a client of the first owner who was deleted
RUNS_PER_MAILING = 10
# The tables whose indexes are created after their rows.
LARGE_TABLES = ("deliveries", "attempts")


@dataclass(frozen=True)
class History:
    """The amount of data in an installation."""

    owners: int
    clients: int  # the first owner's; the others have a thousandth of that number, but at least 20
    runs: int
    deliveries: int  # an eighth of them are in a run to all of the first owner's clients
    audit_entries: int

    @classmethod
    def of(cls, deliveries: int) -> "History":
        """Return a history with this many deliveries and everything else in proportion."""
        owners = max(3, min(200, deliveries // 40_000))
        return cls(owners, deliveries // 8, deliveries // 400, deliveries, deliveries // 16)

    @property
    def mailings(self) -> int:
        return max(4, self.runs // RUNS_PER_MAILING // 4 * 4)  # every fourth mailing is the first owner's

    @property
    def largest_run(self) -> int:
        return self.mailings * RUNS_PER_MAILING // 2

    @property
    def values(self) -> dict[str, int]:
        """The parameters of the statements."""
        now = int(utcnow().timestamp()) // 900 * 900
        span = YEARS * 365 * 86_400
        rest = self.deliveries - self.clients
        return vars(self) | {
            "few_clients": max(20, self.clients // 1_000),
            "mailings": self.mailings,
            "largest_run": self.largest_run,
            # The first owner has a quarter of the runs and three quarters of the letters.
            "large": max(1, min(rest * 3 // self.runs, self.clients)),
            "small": max(1, min(rest // (3 * self.runs), max(20, self.clients // 1_000))),
            "begin": now - span,
            "end": now,
            "step": max(900, span // self.runs // 900 * 900),
            "suppressed": max(1, self.clients // 100),
        }


def fill(service: Service, history: History) -> float:
    """Fill the empty database of a service whose workers are paused; return the time in seconds."""
    start = time.perf_counter()
    values = history.values
    # All statements need the same connection, because temporary tables belong to it.
    with service.engine.connect() as connection, _without_indexes(connection):
        for statement in list_statements(connection.dialect.name):
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), used)
        _continue_ids(connection)
    delete_client(service)
    with service.app.app_context():
        build_index(service)
    with service.engine.connect() as connection:
        is_postgresql = connection.dialect.name == "postgresql"
        connection.execute(text("VACUUM ANALYZE" if is_postgresql else "ANALYZE"))
    return time.perf_counter() - start


def delete_client(service: Service) -> None:
    """Delete a client of the first owner, whose letters remain."""
    deleted = text("SELECT id FROM clients WHERE owner_id = :owner ORDER BY id LIMIT 1 OFFSET :before")
    with service.engine.connect() as connection:
        client = {"id": connection.scalar(deleted, {"owner": OWNER, "before": DELETED - 1})}
        connection.execute(text("UPDATE deliveries SET client_id = NULL WHERE client_id = :id"), client)
        connection.execute(text("DELETE FROM clients WHERE id = :id"), client)


def _continue_ids(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT setval('users_id_seq', (SELECT max(id) FROM users))"))


@contextlib.contextmanager
def _without_indexes(connection: Connection) -> Iterator[None]:
    """Drop the large tables' indexes and recreate them at the end; do not check foreign keys."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA foreign_keys = OFF"))
        connection.execute(text("PRAGMA synchronous = OFF"))
        found = connection.execute(
            text("SELECT name, sql, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        ).all()
        dropped = [(f"DROP INDEX {row.name}", row.sql) for row in found if row.tbl_name in LARGE_TABLES]
    else:
        connection.execute(text("SET maintenance_work_mem = '256MB'"))
        dropped = list(_find_postgresql_indexes(connection))
        dropped += [
            (f"ALTER TABLE {table} DISABLE TRIGGER ALL", f"ALTER TABLE {table} ENABLE TRIGGER ALL")
            for table in LARGE_TABLES
        ]
    for drop, _create in dropped:
        connection.execute(text(drop))
    yield
    for _drop, create in dropped:
        connection.execute(text(create))
    connection.invalidate()  # so that its settings are not reused


def _find_postgresql_indexes(connection: Connection) -> Iterator[tuple[str, str]]:
    for table in LARGE_TABLES:
        keys = connection.execute(
            text(
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE conrelid = CAST(:table AS regclass) AND contype = 'u'"
            ),
            {"table": table},
        ).all()
        for name, definition in keys:
            drop = f"ALTER TABLE {table} DROP CONSTRAINT {name}"
            yield drop, f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
        indexes = connection.execute(
            text("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = :table"), {"table": table}
        ).all()
        own = {f"pk_{table}", *(name for name, _definition in keys)}
        for name, definition in indexes:
            if name not in own:
                yield f"DROP INDEX {name}", definition
