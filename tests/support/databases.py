"""Empty the test databases, and detect changes to them."""

from functools import cache

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from skymailing import audit
from skymailing.extensions import db
from skymailing.models import AuditEntry, ClientToIndex

AUDIT_LOG = AuditEntry.__tablename__
CLIENTS_TO_INDEX = ClientToIndex.__tablename__  # a trigger adds rows here when clients are deleted


def empty_database(connection: Connection) -> None:
    """Delete all rows in one transaction, including the audit log, which a trigger usually protects."""
    # Most tests fill only a few tables, and DELETEs from empty ones take time, too.
    are_filled = connection.exec_driver_sql(_query_filled_tables()).one()
    names = [
        name
        for name, has_rows in zip(_list_tables(), are_filled, strict=True)
        if has_rows or name == CLIENTS_TO_INDEX
    ]
    if AUDIT_LOG in names:
        names.remove(AUDIT_LOG)
        with audit.allow_changes(connection):
            connection.exec_driver_sql(f"DELETE FROM {AUDIT_LOG}")
    deletes = [f"DELETE FROM {name}" for name in names]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("; ".join(deletes))  # one round trip and one transaction
        return
    for statement in ("BEGIN IMMEDIATE", *deletes, "COMMIT"):
        connection.exec_driver_sql(statement)


@cache
def _list_tables() -> list[str]:
    """Return the names of all tables, each before the tables that its foreign keys refer to."""
    return [table.name for table in reversed(db.metadata.sorted_tables)]


@cache
def _query_filled_tables() -> str:
    checks = ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in _list_tables())
    return f"SELECT {checks}"


def read_version(session: Session) -> int:
    """Return a number that changes when another connection commits a change (SQLite only)."""
    return int(session.scalar(text("PRAGMA data_version")) or 0)
