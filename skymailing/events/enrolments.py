"""Report clients who enter, complete or leave sequences, many clients per event."""

from collections.abc import Iterator
from collections.abc import Sequence as Items
from datetime import datetime

from sqlalchemy import Connection, select

from skymailing.db.engine import is_in
from skymailing.events import payloads
from skymailing.events.recording import Event, find_interested_owners, record
from skymailing.models import Client, Enrolment, EventType, LeaveReason, Sequence

PER_EVENT = 500


def is_wanted(connection: Connection, sequence: Sequence, type_: EventType) -> bool:
    """Return whether the owner of a sequence wants this type of event."""
    return bool(find_interested_owners(connection, type_, {sequence.owner_id}))


def report_enrolments(
    connection: Connection,
    type_: EventType,
    sequence: Sequence,
    ids: Items[int],
    at: datetime,
    reason: LeaveReason | None = None,
) -> None:
    """Report these enrolments; for owners who do not want the event, this takes one statement."""
    if ids and is_wanted(connection, sequence, type_):
        record(connection, *_make_events(connection, type_, sequence, ids, at, reason))


def _make_events(
    connection: Connection,
    type_: EventType,
    sequence: Sequence,
    ids: Items[int],
    at: datetime,
    reason: LeaveReason | None,
) -> Iterator[Event]:
    for start in range(0, len(ids), PER_EVENT):
        rows = select(Enrolment.id, Enrolment.client_id, Client.email_key)
        rows = rows.join(Client, Client.id == Enrolment.client_id)
        chosen = rows.where(is_in(Enrolment.id, ids[start : start + PER_EVENT])).order_by(Enrolment.id)
        clients = [
            {"id": id, "client_id": client_id, "email": email}
            for id, client_id, email in connection.execute(chosen).tuples()
        ]
        yield payloads.enrolments_changed(type_, sequence, clients, at, reason)
