"""Read SendGrid's webhooks: a list of events per request, optionally signed (ECDSA of timestamp and body)."""

from base64 import b64decode
from typing import Any

from skymailing.returns.providers.events import (
    BadPost,
    Event,
    ForgedPost,
    Post,
    make_event,
    make_report,
    pick_text,
)
from skymailing.returns.reports import Kind, Quoted, Report

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
# Letters that SendGrid did not try to deliver, by its reason in lowercase.
DROP_REASONS = {
    "bounced address": (Kind.BOUNCE, "5.1.1"),
    "invalid": (Kind.BOUNCE, "5.1.3"),
    "spam reporting address": (Kind.COMPLAINT, ""),
    "unsubscribed address": (Kind.UNSUBSCRIBE, ""),
}
REQUESTS = {
    "spamreport": Kind.COMPLAINT,
    "unsubscribe": Kind.UNSUBSCRIBE,
    "group_unsubscribe": Kind.UNSUBSCRIBE,
}


def read(post: Post) -> list[Event]:
    """Return the events of a post."""
    if post.key:
        check_signature(post)
    found = post.read_json()
    if not isinstance(found, list) or not all(isinstance(values, dict) for values in found):
        raise BadPost("no list of events")
    return [
        make_event(values, report, pick_text(values, "sg_event_id"))
        for values in found
        if (report := _read_report(values)) is not None
    ]


def check_signature(post: Post) -> None:
    """Raise ForgedPost unless the owner of the public key signed the post."""
    # Slow to import, and only needed here.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(b64decode(post.key))
        signature = b64decode(post.headers.get(SIGNATURE, ""), validate=True)
        text = post.headers.get(TIMESTAMP, "").encode() + post.body
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ForgedPost("WEBHOOK_KEYS has no public key of SendGrid")
        key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise ForgedPost from error


def _read_report(values: Any) -> Report | None:
    name, reason = pick_text(values, "event"), pick_text(values, "reason")
    status = pick_text(values, "status")
    if name in REQUESTS:
        kind: Kind = REQUESTS[name]
    elif name == "dropped" and reason.lower() in DROP_REASONS:
        kind, status = DROP_REASONS[reason.lower()]
    elif name == "bounce":
        kind = Kind.BOUNCE
        if pick_text(values, "type") == "blocked" and status in ("", "5.0.0"):
            status = "5.7.0"
    else:
        return None
    quoted = Quoted(pick_text(values, "smtp-id"))
    return make_report(kind, pick_text(values, "email"), status=status, diagnostic=reason, quoted=quoted)
