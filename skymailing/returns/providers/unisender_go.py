"""Read Unisender Go's webhooks: a list of events per request, signed with an MD5 hash.

The hash covers the body with the API key in place of the signature.
"""

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
    pick_list,
    pick_text,
)
from skymailing.returns.reports import Kind, Report

DELIVERIES = "transactional_email_status"
REQUESTS = {"spam": Kind.COMPLAINT, "unsubscribed": Kind.UNSUBSCRIBE}
# The status of a hard bounce, by the provider's reason. All other reasons are soft bounces.
STATUSES = {
    "err_user_unknown": "5.1.1",
    "err_user_inactive": "5.2.1",
    "err_domain_inactive": "5.1.2",
    "err_mailbox_full": "5.2.2",
    "err_too_large": "5.3.4",
    "err_spam_rejected": "5.7.1",
    "err_spam_skipped": "5.7.1",
    "err_blacklisted": "5.7.1",
}


def read(post: Post) -> list[Event]:
    """Return the events of a post."""
    values = post.read_json()
    if post.key:
        check_signature(post, pick_text(values, "auth"))
    found = [
        event.get("event_data")
        for user in pick_list(values, "events_by_user")
        for event in pick_list(user, "events")
        if pick_text(event, "event_name") == DELIVERIES
    ]
    if pick_text(values, "event_name") == DELIVERIES:  # the option "one event per request"
        found.append({name: value for name, value in values.items() if name != "auth"})
    elif not isinstance(pick(values, "events_by_user"), list):
        raise BadPost("no list of events")
    return [make_event(event, report) for event in found if (report := _read_report(event)) is not None]


def check_signature(post: Post, signature: str) -> None:
    """Raise ForgedPost unless the owner of the API key signed the body."""
    if not signature:
        raise ForgedPost
    signed = post.body.replace(signature.encode(), post.key.encode())
    expected = hashlib.md5(signed, usedforsecurity=False).hexdigest()  # the provider's choice
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise ForgedPost


def _read_report(event: Any) -> Report | None:
    name, reason = pick_text(event, "status"), pick_text(event, "delivery_info", "delivery_status")
    if name in REQUESTS:
        kind: Kind = REQUESTS[name]
    elif name == "hard_bounced":
        kind = Kind.UNSUBSCRIBE if reason == "err_unsubscribed" else Kind.BOUNCE
    else:
        return None  # including soft bounces: the provider is still trying
    return make_report(
        kind,
        pick_text(event, "email"),
        status=STATUSES.get(reason, "4.0.0"),
        diagnostic=pick_text(event, "delivery_info", "destination_response"),
    )
