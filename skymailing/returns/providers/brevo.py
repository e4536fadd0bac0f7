"""Read Brevo's webhooks: one event per request, authenticated only by the secret in the URL."""

from skymailing.returns.providers.events import BadPost, Event, Post, make_event, make_report, pick_text
from skymailing.returns.reports import Kind, Quoted

# The kind, and the status if the server's reply has none.
EVENTS = {
    "hard_bounce": (Kind.BOUNCE, "5.1.1"),
    "invalid_email": (Kind.BOUNCE, "5.1.3"),
    "soft_bounce": (Kind.BOUNCE, "4.0.0"),
    "error": (Kind.BOUNCE, "4.3.0"),
    # Blocked by Brevo itself, because of an earlier event.
    "blocked": (Kind.BOUNCE, "5.7.0"),
    "spam": (Kind.COMPLAINT, ""),
    "complaint": (Kind.COMPLAINT, ""),
    "unsubscribe": (Kind.UNSUBSCRIBE, ""),
    "unsubscribed": (Kind.UNSUBSCRIBE, ""),
}


def read(post: Post) -> list[Event]:
    """Return the event of a post."""
    values = post.read_json()
    name = pick_text(values, "event")
    if not name:
        raise BadPost("no event")
    if name not in EVENTS:
        return []
    kind, status = EVENTS[name]
    report = make_report(
        kind,
        pick_text(values, "email"),
        status=status,
        diagnostic=pick_text(values, "reason"),
        quoted=Quoted(pick_text(values, "message-id")),
    )
    return [make_event(values, report)]
