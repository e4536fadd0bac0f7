"""Empty the tests' databases."""

from sqlalchemy import Connection

from skymailing import audit
from skymailing.extensions import db
from skymailing.models import AuditEntry

AUDIT_LOG = AuditEntry.__tablename__


def empty_database(connection: Connection) -> None:
    """Delete all rows in one transaction, including the audit log, which the database usually protects."""
    tables = [table.name for table in reversed(db.metadata.sorted_tables) if table.name != AUDIT_LOG]
    has_audit = connection.exec_driver_sql(f"SELECT 1 FROM {AUDIT_LOG} LIMIT 1").scalar() is not None
    if has_audit:
        with audit.allow_changes(connection):
            connection.exec_driver_sql(f"DELETE FROM {AUDIT_LOG}")
    deletes = [f"DELETE FROM {table}" for table in tables]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("; ".join(deletes))  # one round trip, which is one transaction
        return
    for statement in ("BEGIN IMMEDIATE", *deletes, "COMMIT"):
        connection.exec_driver_sql(statement)
