"""Record events for the endpoints that want them, in the transaction of the change that they report.

For an owner without such an endpoint, a call of `record` takes one indexed statement and adds no rows. Code
that handles many letters therefore passes all its events in one call, and no event is recorded per sent
letter.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask, has_app_context
from sqlalchemy import ColumnElement, Connection, event, insert, literal_column, select

from skymailing.extensions import db
from skymailing.models import EventType, WebhookCall, WebhookEndpoint, WebhookEvent

# Exactly as in the partial index: databases do not use it if the state is a parameter.
IS_ENABLED: ColumnElement[bool] = literal_column("webhook_endpoints.state = 'enabled'")
HAS_CALLS = "skymailing_has_webhook_calls"  # in the `info` of a connection until it returns to its pool


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an owner's data; `payloads` defines the data of each type."""

    owner_id: int
    type: EventType
    data: Mapping[str, Any]
    at: datetime


def configure(app: Flask) -> None:
    """Prompt workers to send new calls once their transaction has ended. Call after `db.init_app`."""
    with app.app_context():
        engine = db.engine

    @event.listens_for(engine, "checkin")
    def hint_worker(_connection: Any, record: Any) -> None:
        # A connection returns to the pool after its transaction. After a rollback, the hint is harmless.
        if record.info.pop(HAS_CALLS, False) and has_app_context():
            from skymailing import hints  # imports rq, which commands avoid

            hints.hint_webhooks()


def record(connection: Connection, *events: Event) -> None:
    """Write events and their calls, for those endpoints that are enabled and want their type."""
    if not events:
        return
    endpoints = _find_endpoints(connection, {event.owner_id for event in events}, keep=True)
    wanted = [event for event in events if (event.owner_id, event.type) in endpoints]
    if wanted:
        add_calls(connection, [(event, endpoints[event.owner_id, event.type]) for event in wanted])


def find_interested_owners(
    connection: Connection, type_: EventType, owner_ids: Collection[int] | None = None
) -> set[int]:
    """Return those of the given owners, or of all owners, who have an endpoint for this type of event.

    Call it before reading the data for such an event.
    """
    return {owner for owner, wanted in _find_endpoints(connection, owner_ids) if wanted == type_}


def add_calls(connection: Connection, calls: Sequence[tuple[Event, Iterable[int]]]) -> None:
    """Write events, each with calls to the endpoints that are given with it."""
    rows = [
        {"owner_id": event.owner_id, "type": event.type.value, "data": dict(event.data), "at": event.at}
        for event, _endpoint_ids in calls
    ]
    insertion = insert(WebhookEvent).returning(WebhookEvent.id, sort_by_parameter_order=True)
    ids = connection.scalars(insertion, rows).all()
    connection.execute(
        insert(WebhookCall),
        [
            {"event_id": id, "endpoint_id": endpoint_id, "owner_id": event.owner_id, "due_at": event.at}
            for id, (event, endpoint_ids) in zip(ids, calls, strict=True)
            for endpoint_id in endpoint_ids
        ],
    )
    connection.info[HAS_CALLS] = True


def _find_endpoints(
    connection: Connection, owner_ids: Collection[int] | None, *, keep: bool = False
) -> dict[tuple[int, str], list[int]]:
    """Return the IDs of the enabled endpoints by owner and type.

    With `keep`, they cannot be deleted until the transaction ends, so that calls can refer to them.
    """
    enabled = select(WebhookEndpoint.id, WebhookEndpoint.owner_id, WebhookEndpoint.events)
    enabled = enabled.where(IS_ENABLED)
    if owner_ids is not None:
        enabled = enabled.where(WebhookEndpoint.owner_id.in_(owner_ids))
    if keep:
        enabled = enabled.order_by(WebhookEndpoint.id).with_for_update(read=True, key_share=True)
    found: dict[tuple[int, str], list[int]] = defaultdict(list)
    for id, owner_id, types in connection.execute(enabled).tuples():
        for type_ in types:
            found[owner_id, type_].append(id)
    return found
