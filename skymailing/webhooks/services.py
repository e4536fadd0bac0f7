"""Add, change and delete endpoints, and request calls; lock the owner's row to enforce limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import InvalidRequestError

from skymailing import audit
from skymailing.audit import Actor
from skymailing.encryption import WEBHOOK_ACCESS, encrypt
from skymailing.errors import UserError
from skymailing.events import payloads
from skymailing.events.recording import add_calls
from skymailing.extensions import db
from skymailing.models import (
    OFFERED_TYPES,
    AuditAction,
    CallState,
    DisabledReason,
    EndpointState,
    EventType,
    UsageKind,
    User,
    WebhookCall,
    WebhookEndpoint,
)
from skymailing.outbox.services import add_letter
from skymailing.quotas.checks import require_room, select_webhooks, use
from skymailing.quotas.locking import lock_owner
from skymailing.settings.quotas import quota_settings
from skymailing.webhooks.letters import find_last_attempt
from skymailing.webhooks.signatures import make_secret
from skymailing.webhooks.urls import parse_url

ROTATION_TIME = timedelta(hours=24)  # for which calls are also signed with the old secret
TESTS_PER_HOUR = 60
DISABLED_LETTER = "webhook-disabled"
SERVICE = Actor(None, "SkyMailing")


class WebhookError(UserError):
    """An endpoint or a call cannot be changed; `field` is the form field at fault."""

    def __init__(self, code: str, field: str = "", **values: object) -> None:
        super().__init__(code, **values)
        self.field = field


@dataclass(frozen=True, slots=True)
class EndpointValues:
    """The choices for an endpoint."""

    url: str
    events: Sequence[str]


def create_endpoint(
    owner: User, values: EndpointValues, now: datetime, actor: Actor
) -> tuple[WebhookEndpoint, str]:
    """Add an endpoint; return it with its secret. Raises InvalidUrl, WebhookError and LimitReached."""
    lock_owner(owner.id)
    require_room("webhook_limit", select_webhooks(owner.id), quota_settings().webhooks)
    secret = make_secret()
    endpoint = WebhookEndpoint(owner_id=owner.id, encrypted_secret=encrypt(secret, WEBHOOK_ACCESS))
    endpoint.created_at = endpoint.updated_at = now
    _write(endpoint, values)
    db.session.add(endpoint)
    db.session.flush()
    audit.record(AuditAction.WEBHOOK_ADDED, actor, endpoint)
    return endpoint, secret


def change_endpoint(endpoint: WebhookEndpoint, values: EndpointValues, actor: Actor) -> None:
    """Change an endpoint; waiting calls use the new address. Raises InvalidUrl and WebhookError."""
    lock(endpoint)
    if _write(endpoint, values):
        _forget_faults(endpoint)
    _finish(endpoint, AuditAction.WEBHOOK_CHANGED, actor)


def _write(endpoint: WebhookEndpoint, values: EndpointValues) -> bool:
    """Set the values; return whether the address has changed."""
    url = str(parse_url(values.url))
    if unknown := set(values.events) - set(OFFERED_TYPES):
        raise WebhookError("webhook_event_unknown", "events", type=min(unknown))
    if not values.events:
        raise WebhookError("webhook_no_events", "events")
    is_moved = endpoint.url != url
    endpoint.url = url
    endpoint.events = [type_.value for type_ in OFFERED_TYPES if type_ in values.events]
    wants_letters = EventType.LETTERS_CHANGED in values.events
    if wants_letters and not endpoint.wants_letters:
        endpoint.letters_cursor = endpoint.letters_until = find_last_attempt(endpoint.owner_id)
    endpoint.wants_letters = wants_letters
    return is_moved


def rotate_secret(endpoint: WebhookEndpoint, now: datetime, actor: Actor) -> str:
    """Replace the secret and return the new one; calls are also signed with the old one for ROTATION_TIME."""
    lock(endpoint)
    secret = make_secret()
    endpoint.encrypted_old_secret = endpoint.encrypted_secret
    endpoint.old_secret_until = now + ROTATION_TIME
    endpoint.encrypted_secret = encrypt(secret, WEBHOOK_ACCESS)
    _finish(endpoint, AuditAction.WEBHOOK_CHANGED, actor)
    return secret


def enable_endpoint(endpoint: WebhookEndpoint, actor: Actor) -> None:
    """Send events again; letters are reported from now on, and waiting calls are sent."""
    lock(endpoint)
    if endpoint.is_enabled:
        return
    endpoint.state, endpoint.disabled_reason = EndpointState.ENABLED, ""
    _forget_faults(endpoint)
    endpoint.letters_cursor = endpoint.letters_until = find_last_attempt(endpoint.owner_id)
    _finish(endpoint, AuditAction.WEBHOOK_ENABLED, actor)


def disable_endpoint(endpoint: WebhookEndpoint, actor: Actor) -> None:
    """Stop sending events to an endpoint; new events are not stored for it."""
    lock(endpoint)
    if endpoint.is_enabled:
        endpoint.state, endpoint.disabled_reason = EndpointState.DISABLED, DisabledReason.OWNER
        _finish(endpoint, AuditAction.WEBHOOK_DISABLED, actor)


def disable_faulty(endpoint: WebhookEndpoint, reason: DisabledReason) -> None:
    """Stop sending events to a locked endpoint that does not accept them, and notify its owner."""
    endpoint.state, endpoint.disabled_reason = EndpointState.DISABLED, reason
    _finish(endpoint, AuditAction.WEBHOOK_DISABLED, SERVICE, reason)
    owner = db.session.get_one(User, endpoint.owner_id)
    add_letter(owner, DISABLED_LETTER, endpoint_id=endpoint.id, url=endpoint.url, reason=reason.value)


def delete_endpoint(endpoint: WebhookEndpoint, actor: Actor) -> None:
    """Delete an endpoint with its calls. Raises WebhookError."""
    lock(endpoint)
    audit.record(AuditAction.WEBHOOK_DELETED, actor, endpoint)
    db.session.delete(endpoint)
    db.session.flush()


def send_test(endpoint: WebhookEndpoint, now: datetime) -> None:
    """Add a call with a test event. Raises WebhookError and LimitReached."""
    _require_enabled(endpoint)
    use("webhook_test_limit", endpoint.owner_id, UsageKind.WEBHOOK_TESTS, TESTS_PER_HOUR, 1, now)
    _try_soon(endpoint)
    event = payloads.webhook_test(endpoint.owner_id, now)
    add_calls(db.session.connection(), [(event, [endpoint.id])])


def send_again(call: WebhookCall, now: datetime) -> None:
    """Send a call again, with the same event and ID. Raises WebhookError and LimitReached."""
    endpoint = call.endpoint
    _require_enabled(endpoint)
    use("webhook_test_limit", call.owner_id, UsageKind.WEBHOOK_TESTS, TESTS_PER_HOUR, 1, now)
    _try_soon(endpoint)
    db.session.refresh(call, with_for_update=True)
    if call.lease_until is None or call.lease_until < now:  # otherwise, it is being sent
        call.state, call.attempts, call.due_at = CallState.PENDING, 0, now
    db.session.flush()


def _require_enabled(endpoint: WebhookEndpoint) -> None:
    lock(endpoint)
    if not endpoint.is_enabled:
        raise WebhookError("webhook_disabled")


def _try_soon(endpoint: WebhookEndpoint) -> None:
    """End the pause after faults, because the owner may have repaired the endpoint."""
    endpoint.paused_until = None
    db.session.flush()


def _forget_faults(endpoint: WebhookEndpoint) -> None:
    endpoint.faults, endpoint.faults_since, endpoint.paused_until = 0, None, None


def _finish(endpoint: WebhookEndpoint, action: AuditAction, actor: Actor, reason: str = "") -> None:
    endpoint.version += 1
    db.session.flush()
    audit.record(action, actor, endpoint, reason)


def lock(endpoint: WebhookEndpoint) -> None:
    """Lock an endpoint until the transaction ends, and read it again; raises WebhookError if deleted."""
    try:
        db.session.refresh(endpoint, with_for_update={"key_share": True})
    except InvalidRequestError as error:
        raise WebhookError("webhook_deleted") from error
