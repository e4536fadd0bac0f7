"""Read Amazon SES's events, which arrive as signed SNS notifications (see `amazon_sns`)."""

from typing import Any

from skymailing.returns.providers import amazon_sns
from skymailing.returns.providers.events import (
    Event,
    Post,
    make_event,
    make_report,
    parse_json,
    pick,
    pick_list,
    pick_text,
)
from skymailing.returns.reports import Kind, Quoted

# The status for bounces that report none.
STATUSES = {"Permanent": "5.1.1", "Transient": "4.0.0"}
HEADERS = ("Message-ID", "List-Unsubscribe", "Feedback-ID")


def read(post: Post) -> list[Event]:
    """Return the events of a notification, one per recipient; confirm a subscription."""
    notification = amazon_sns.read(post)
    text = pick_text(notification, "Type") == "Notification" and pick(notification, "Message")
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return []  # the greeting of a new topic is a sentence
    values = parse_json(text)
    name = pick_text(values, "eventType") or pick_text(values, "notificationType")
    if name == "Bounce":
        return _read_bounces(values, pick_text(notification, "MessageId"))
    if name == "Complaint":
        return _read_complaints(values, pick_text(notification, "MessageId"))
    return []


def _read_bounces(values: Any, id: str) -> list[Event]:
    default = STATUSES.get(pick_text(values, "bounce", "bounceType"), "")
    return [
        make_event(
            values,
            make_report(
                Kind.BOUNCE,
                pick_text(recipient, "emailAddress"),
                status=pick_text(recipient, "status") or default,
                diagnostic=pick_text(recipient, "diagnosticCode").removeprefix("smtp;"),
                remote_mta=pick_text(values, "bounce", "remoteMtaIp"),
                quoted=_read_headers(values),
            ),
            f"{id}:{number}",
        )
        for number, recipient in enumerate(pick_list(values, "bounce", "bouncedRecipients"))
    ]


def _read_complaints(values: Any, id: str) -> list[Event]:
    if pick_text(values, "complaint", "complaintFeedbackType") == "not-spam":
        return []
    return [
        make_event(
            values,
            make_report(Kind.COMPLAINT, pick_text(recipient, "emailAddress"), quoted=_read_headers(values)),
            f"{id}:{number}",
        )
        for number, recipient in enumerate(pick_list(values, "complaint", "complainedRecipients"))
    ]


def _read_headers(values: Any) -> Quoted:
    """Return the headers of our letter, which SES includes if the notification is configured that way."""
    headers = {
        pick_text(header, "name").lower(): pick_text(header, "value")
        for header in pick_list(values, "mail", "headers")
    }
    return Quoted(*(headers.get(name.lower(), "") for name in HEADERS))
