"""Read an account's webhooks and their calls, for the export."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import cells, read_in_chunks, read_own
from skymailing.models import WebhookCall, WebhookEndpoint, WebhookEvent


def read_endpoints(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the user's webhooks, without their secrets."""
    return read_own(WebhookEndpoint, user_id, "url", "events", "state", "disabled_reason", "faults_since")


def read_calls(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the calls that are still stored, with their events."""
    yield ("webhook_id", "type", "time", "state", "attempts", "code", "response", "last_attempt")
    event = (WebhookEvent.type, WebhookEvent.at)
    result = (WebhookCall.state, WebhookCall.attempts, WebhookCall.last_code, WebhookCall.last_response)
    rows = select(WebhookCall.id, WebhookCall.endpoint_id, *event, *result, WebhookCall.last_at)
    rows = rows.join(WebhookEvent, WebhookEvent.id == WebhookCall.event_id)
    rows = rows.where(WebhookCall.owner_id == user_id)
    yield from map(cells, read_in_chunks(rows, WebhookCall.__table__.c.id))
