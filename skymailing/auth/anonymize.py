"""Remove a deleted user from the audit log.

The user's actions are kept under a label such as "user 17". The addresses of the user, and of the user's
clients and senders, are removed, and so are IP addresses. Reasons given by other users, mailing names
and article titles are kept.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select, update

from skymailing import audit
from skymailing.models import AuditEntry, AuditKind


def make_anonymous_label(user_id: int) -> str:
    """Return the label of a deleted user, the same in all entries so that they can still be linked."""
    return f"user {user_id}"


def anonymize_audit_entries(connection: Connection, user_id: int, limit: int) -> int:
    """Remove the user from up to `limit` entries; return how many were changed."""
    table: Any = AuditEntry.__table__
    label = make_anonymous_label(user_id)
    by_them = table.c.actor_id == user_id
    about_them = (table.c.kind == AuditKind.USER) & (table.c.target_id == user_id)
    about_an_address = by_them & table.c.kind.in_([AuditKind.CLIENT, AuditKind.SENDER])
    changes: list[tuple[ColumnElement[bool], dict[str, str]]] = [
        (by_them & or_(table.c.actor != label, table.c.address != ""), {"actor": label, "address": ""}),
        (about_them & (table.c.target != label), {"target": label}),
        (about_an_address & (table.c.target != ""), {"target": ""}),
    ]
    for condition, values in changes:
        batch = select(table.c.id).where(condition).limit(limit)
        with audit.allow_changes(connection):
            changed = connection.execute(update(table).where(table.c.id.in_(batch)).values(values)).rowcount
        if changed:
            return changed
    return 0
