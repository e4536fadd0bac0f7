"""Read Postmark's webhooks: one event per request, authenticated only by the secret in the URL."""

from typing import Any

from skymailing.returns.providers.events import BadPost, Event, Post, make_event, make_report, pick, pick_text
from skymailing.returns.reports import Kind

# Types of bounces: the kind, and the status if the server's reply has none. Other types are warnings,
# automatic replies, and addresses that were blocked in Postmark by hand.
TYPES = {
    "HardBounce": (Kind.BOUNCE, "5.1.1"),
    "BadEmailAddress": (Kind.BOUNCE, "5.1.3"),
    "SoftBounce": (Kind.BOUNCE, "4.0.0"),
    "DnsError": (Kind.BOUNCE, "4.4.4"),
    "Blocked": (Kind.BOUNCE, "5.7.0"),
    "ISPBlocked": (Kind.BOUNCE, "5.7.0"),
    "SpamNotification": (Kind.BOUNCE, "5.7.0"),
    "VirusNotification": (Kind.BOUNCE, "5.7.0"),
    "DMARCPolicy": (Kind.BOUNCE, "5.7.0"),
    "SpamComplaint": (Kind.COMPLAINT, ""),
    "Unsubscribe": (Kind.UNSUBSCRIBE, ""),
    "ManualSuppression": (Kind.UNSUBSCRIBE, ""),
}


def read(post: Post) -> list[Event]:
    """Return the event of a post."""
    values = post.read_json()
    record = pick_text(values, "RecordType")
    if not record:
        raise BadPost("no RecordType")
    found = TYPES.get(_read_type(values, record))
    if found is None:
        return []
    kind, status = found
    recipient = pick_text(values, "Email") or pick_text(values, "Recipient")
    text = pick_text(values, "Details") or pick_text(values, "Description")
    # The mail server's reply follows the name of its protocol.
    report = make_report(kind, recipient, status=status, diagnostic=text.removeprefix("smtp;"))
    id = pick_text(values, "ID")
    return [make_event(values, report, f"{record}:{id}" if id else "")]


def _read_type(values: Any, record: str) -> str:
    if record in ("Bounce", "SpamComplaint"):
        return pick_text(values, "Type") or record
    # Postmark stopped sending to an address; addresses that were blocked by hand are ignored here.
    is_stopped = record == "SubscriptionChange" and pick(values, "SuppressSending") is True
    is_by_account = pick_text(values, "Origin") == "Admin"
    return pick_text(values, "SuppressionReason") if is_stopped and not is_by_account else ""
