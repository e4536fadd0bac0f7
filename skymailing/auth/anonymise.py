"""What the audit log keeps of somebody who left: that it was one person, what they did and when.

Their address, their network addresses and the addresses of their clients go. Reasons that others gave
stay, as do names of mailings and titles of articles.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select, update

from skymailing import audit
from skymailing.models import AuditEntry, AuditKind


def label_of(user_id: int) -> str:
    """Return what somebody who left is called: always the same, so that lines can be told apart."""
    return f"user {user_id}"


def forget_in_audit(connection: Connection, user_id: int, limit: int) -> int:
    """Take the person out of up to `limit` lines; return of how many, 0 when none names them any more.

    Past the guard that refuses changes: who left has a right to it that the log has not.
    """
    table: Any = AuditEntry.__table__
    label = label_of(user_id)
    by_them = table.c.actor_id == user_id
    about_them = (table.c.kind == AuditKind.USER) & (table.c.target_id == user_id)
    about_their_client = by_them & (table.c.kind == AuditKind.CLIENT)
    changes: list[tuple[ColumnElement[bool], dict[str, str]]] = [
        (by_them & or_(table.c.actor != label, table.c.address != ""), {"actor": label, "address": ""}),
        (about_them & (table.c.target != label), {"target": label}),
        (about_their_client & (table.c.target != ""), {"target": ""}),
    ]
    for condition, values in changes:
        some = select(table.c.id).where(condition).limit(limit)
        with audit.changing(connection):
            changed = connection.execute(update(table).where(table.c.id.in_(some)).values(values)).rowcount
        if changed:
            return changed
    return 0
