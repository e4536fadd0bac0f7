"""Read Mailgun's webhooks: one event per request, signed (HMAC-SHA256 of timestamp and random token)."""

import hashlib
import hmac
from typing import Any

from skymailing.returns.providers.events import (
    BadPost,
    Event,
    ForgedPost,
    Post,
    make_event,
    make_report,
    pick,
    pick_text,
)
from skymailing.returns.reports import Kind, Quoted, Report

# Mailgun repeats a request for eight hours.
MAX_DELAY = 24 * 3600  # seconds
REQUESTS = {"complained": Kind.COMPLAINT, "unsubscribed": Kind.UNSUBSCRIBE}
# Letters that Mailgun did not try to deliver, because of an earlier event.
SUPPRESSED = {
    "suppress-bounce": (Kind.BOUNCE, "5.1.1"),
    "suppress-complaint": (Kind.COMPLAINT, ""),
    "suppress-unsubscribe": (Kind.UNSUBSCRIBE, ""),
}


def read(post: Post) -> list[Event]:
    """Return the event of a post."""
    values = post.read_json()
    if post.key:
        check_signature(post, pick(values, "signature"))
    event = pick(values, "event-data")
    if not pick_text(event, "event"):
        raise BadPost("no event")
    report = _read_report(event)
    if report is None:
        return []
    # Mailgun's IDs are unique only within a day.
    id = f"{pick_text(event, 'id')}@{pick_text(event, 'timestamp')}"
    return [make_event(event, report, id if len(id) > 1 else "")]


def check_signature(post: Post, signed: Any) -> None:
    """Raise ForgedPost unless the owner of the signing key signed the post recently."""
    timestamp, token = pick_text(signed, "timestamp"), pick_text(signed, "token")
    expected = hmac.new(post.key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), pick_text(signed, "signature").encode()):
        raise ForgedPost
    if not timestamp.isdecimal() or abs(post.now.timestamp() - int(timestamp)) > MAX_DELAY:
        raise ForgedPost


def _read_report(event: Any) -> Report | None:
    name, reason = pick_text(event, "event"), pick_text(event, "reason")
    reply = pick(event, "delivery-status")
    status = pick_text(reply, "enhanced-code")
    if name in REQUESTS:
        kind: Kind = REQUESTS[name]
    elif name == "failed" and reason in SUPPRESSED:
        kind, status = SUPPRESSED[reason]
    elif name == "failed" and pick_text(event, "severity") == "permanent":
        kind = Kind.BOUNCE
    else:
        return None  # including temporary failures: Mailgun is still trying
    text = pick_text(reply, "message") or pick_text(reply, "description")
    message_id = pick_text(event, "message", "headers", "message-id")
    return make_report(
        kind,
        pick_text(event, "recipient"),
        status=status,
        diagnostic=f"{pick_text(reply, 'code')} {text}",
        remote_mta=pick_text(reply, "mx-host"),
        quoted=Quoted(message_id),
    )
