"""Empty the tests' databases, and detect changes to them."""

from functools import cache

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from skymailing import audit
from skymailing.extensions import db
from skymailing.models import AuditEntry, ClientToIndex

AUDIT_LOG = AuditEntry.__tablename__
CLIENTS_TO_INDEX = ClientToIndex.__tablename__  # a trigger adds rows when clients are deleted


def empty_database(connection: Connection) -> None:
    """Delete all rows in one transaction, including the audit log, which the database usually protects."""
    # Most tests write to a few tables, so most DELETEs would only take time.
    found = connection.exec_driver_sql(_query_filled_tables()).one()
    names = [
        name
        for name, has_rows in zip(_list_tables(), found, strict=True)
        if has_rows or name == CLIENTS_TO_INDEX
    ]
    if AUDIT_LOG in names:
        names.remove(AUDIT_LOG)
        with audit.allow_changes(connection):
            connection.exec_driver_sql(f"DELETE FROM {AUDIT_LOG}")
    deletes = [f"DELETE FROM {name}" for name in names]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("; ".join(deletes))  # one round trip, which is one transaction
        return
    for statement in ("BEGIN IMMEDIATE", *deletes, "COMMIT"):
        connection.exec_driver_sql(statement)


@cache
def _list_tables() -> list[str]:
    """Return all tables in the order in which their rows can be deleted."""
    return [table.name for table in reversed(db.metadata.sorted_tables)]


@cache
def _query_filled_tables() -> str:
    checks = ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in _list_tables())
    return f"SELECT {checks}"


def read_version(session: Session) -> int:
    """Return a number that changes when another connection commits a change; works on SQLite only."""
    return int(session.scalar(text("PRAGMA data_version")) or 0)
