"""Add a webhook with the log of its calls."""

from datetime import datetime, timedelta

from skymailing.encryption import WEBHOOK_ACCESS, encrypt
from skymailing.extensions import db
from skymailing.models import (
    CallState,
    DisabledReason,
    EndpointState,
    EventType,
    User,
    WebhookCall,
    WebhookEndpoint,
    WebhookEvent,
)
from skymailing.webhooks.signatures import make_secret

URL = "https://shop.example.com/hooks/skymailing"
TYPES = (EventType.CLIENT_CONFIRMED, EventType.CLIENT_UNSUBSCRIBED, EventType.BOUNCE_RECEIVED)
# For each call: hours ago, type, address, and the response to the last attempt.
CALLS = (
    (70, EventType.CLIENT_CONFIRMED, "olga@example.com", 200, "ok", 1),
    (52, EventType.CLIENT_UNSUBSCRIBED, "pavel@example.com", 200, "ok", 1),
    (31, EventType.BOUNCE_RECEIVED, "old@example.com", 204, "", 3),
    (30, EventType.CLIENT_CONFIRMED, "mila@example.com", 410, "Gone", 1),
)


def add_webhook(owner: User, now: datetime) -> None:
    """Add the webhook of a shop that has moved; it is turned off, since nothing receives its calls."""
    endpoint = WebhookEndpoint(
        owner_id=owner.id,
        url=URL,
        events=[type_.value for type_ in TYPES],
        encrypted_secret=encrypt(make_secret(), WEBHOOK_ACCESS),
        state=EndpointState.DISABLED,
        disabled_reason=DisabledReason.GONE,
        created_at=now - timedelta(days=40),
    )
    db.session.add(endpoint)
    db.session.flush()
    for hours, type_, email, code, text, attempts in CALLS:
        at = now - timedelta(hours=hours)
        event = WebhookEvent(owner_id=owner.id, type=type_, data={"email": email}, at=at)
        db.session.add(event)
        db.session.flush()
        db.session.add(
            WebhookCall(
                event_id=event.id,
                endpoint_id=endpoint.id,
                owner_id=owner.id,
                state=CallState.DELIVERED if code < 300 else CallState.FAILED,
                attempts=attempts,
                due_at=at,
                last_code=code,
                last_response=text,
                last_at=at + timedelta(seconds=2),
            )
        )
    db.session.flush()
