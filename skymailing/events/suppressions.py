"""Report addresses that are no longer mailed."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from skymailing.events import payloads
from skymailing.events.recording import find_interested_owners, record
from skymailing.models import EventType, Suppression


def report_suppressed(
    connection: Connection, owner_id: int, email_keys: Collection[str], now: datetime
) -> None:
    """Report those of the addresses that were suppressed at `now`, in the current transaction."""
    if not email_keys or not find_interested_owners(connection, EventType.CLIENT_SUPPRESSED, {owner_id}):
        return
    suppressed = select(Suppression.email_key, Suppression.reason, Suppression.note).where(
        Suppression.owner_id == owner_id,
        Suppression.email_key.in_(email_keys),
        Suppression.created_at == now,
    )
    rows = connection.execute(suppressed.order_by(Suppression.id)).tuples()
    record(
        connection,
        *(payloads.client_suppressed(owner_id, key, reason, note, now) for key, reason, note in rows),
    )
