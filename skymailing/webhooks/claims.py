"""Claim due calls of endpoints, and record their results. The caller commits."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, literal_column, or_, select

from skymailing.db import leases
from skymailing.encryption import WEBHOOK_ACCESS, decrypt
from skymailing.events.payloads import write_time
from skymailing.events.recording import IS_ENABLED
from skymailing.extensions import db
from skymailing.models import (
    CallState,
    DisabledReason,
    EventType,
    User,
    WebhookCall,
    WebhookEndpoint,
    WebhookEvent,
)
from skymailing.webhooks.letters import read_letters
from skymailing.webhooks.services import disable_faulty

# Longer than a turn, because its last call may begin late, and DNS may be slow.
LEASE = timedelta(seconds=90)
# Delays before the second attempt, the third, and so on; a call fails after the last one.
RETRIES = (
    *(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
# After consecutive faults, an endpoint gets no call for a while; the last pause repeats.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (0, 5, 30, 60, 300))
# An endpoint is disabled after at least this many consecutive faults, over at least this long.
MIN_FAULTS = 10
FAULTY_TIME = timedelta(days=5)
GONE = 410
# The same text as in the index: with a parameter, the databases would not use it.
IS_PENDING: ColumnElement[bool] = literal_column("webhook_calls.state = 'pending'")


@dataclass(frozen=True, slots=True)
class DueEndpoint:
    """An endpoint with due calls."""

    id: int
    owner_id: int
    has_faults: bool


@dataclass(frozen=True, slots=True)
class ClaimedCall:
    """A call to send."""

    id: int
    message_id: str
    body: bytes
    attempts: int  # before this one


@dataclass(frozen=True, slots=True)
class Turn:
    """Calls of one endpoint that are sent one after another over one connection."""

    endpoint: DueEndpoint
    url: str
    secrets: tuple[str, ...]
    calls: Sequence[ClaimedCall]
    lease: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a call; without a response, the code is None and the text gives the reason."""

    call: ClaimedCall
    code: int | None
    text: str
    at: datetime

    @property
    def is_delivered(self) -> bool:
        return self.code is not None and 200 <= self.code < 300


@dataclass(frozen=True, slots=True)
class TurnResult:
    """The outcomes of a turn, at least one; its other calls were not sent. Only the last may be a fault."""

    turn: Turn
    outcomes: Sequence[Outcome]


def list_due_endpoints(now: datetime) -> list[DueEndpoint]:
    """Return the endpoints that may be called now and have due calls."""
    endpoint = WebhookEndpoint
    has_due = exists().where(
        WebhookCall.endpoint_id == endpoint.id,
        IS_PENDING,
        WebhookCall.due_at <= now,
    )
    due = (
        select(endpoint.id, endpoint.owner_id, endpoint.faults > 0)
        .join(User, User.id == endpoint.owner_id)
        .where(
            IS_ENABLED,
            or_(endpoint.paused_until.is_(None), endpoint.paused_until <= now),
            User.blocked_at.is_(None),
            User.erasure_began_at.is_(None),
            has_due,
        )
    )
    return [DueEndpoint(id, owner_id, bool(faults)) for id, owner_id, faults in db.session.execute(due)]


def claim(wanted: Mapping[DueEndpoint, int], now: datetime) -> list[Turn]:
    """Lease up to the given number of due calls of each endpoint, oldest first."""
    ids = [id for endpoint, limit in wanted.items() for id in _lock_due(endpoint, limit, now)]
    lease = now + LEASE
    taken = leases.take_lease(WebhookCall, WebhookCall.id.in_(ids), lease, due_at=lease) if ids else []
    return _load(wanted, taken, lease)


def _lock_due(endpoint: DueEndpoint, limit: int, now: datetime) -> Sequence[int]:
    due = select(WebhookCall.id).where(
        WebhookCall.endpoint_id == endpoint.id,
        IS_PENDING,
        WebhookCall.due_at <= now,
    )
    oldest = due.order_by(WebhookCall.due_at, WebhookCall.id).limit(limit)
    return db.session.scalars(oldest.with_for_update(skip_locked=True)).all()


def _load(wanted: Iterable[DueEndpoint], ids: Sequence[int], lease: datetime) -> list[Turn]:
    calls: dict[int, list[ClaimedCall]] = defaultdict(list)
    rows = select(WebhookCall.id, WebhookCall.endpoint_id, WebhookCall.attempts, WebhookEvent)
    rows = rows.join(WebhookEvent, WebhookEvent.id == WebhookCall.event_id).where(WebhookCall.id.in_(ids))
    for id, endpoint_id, attempts, event in db.session.execute(rows.order_by(WebhookCall.id)).tuples():
        calls[endpoint_id].append(ClaimedCall(id, write_message_id(event), write_body(event), attempts))
    found = select(WebhookEndpoint).where(WebhookEndpoint.id.in_(calls))
    stored = {endpoint.id: endpoint for endpoint in db.session.scalars(found)}
    return [
        Turn(endpoint, stored[endpoint.id].url, list_secrets(stored[endpoint.id], lease - LEASE), own, lease)
        for endpoint in wanted
        if (own := calls.get(endpoint.id))
    ]


def list_secrets(endpoint: WebhookEndpoint, now: datetime) -> tuple[str, ...]:
    """Return the signing secrets: the new one, and the old one until it expires."""
    encrypted = [endpoint.encrypted_secret]
    if endpoint.old_secret_until is not None and endpoint.old_secret_until > now:
        encrypted.append(endpoint.encrypted_old_secret)
    return tuple(secret for text in encrypted if (secret := decrypt(text, WEBHOOK_ACCESS)))


def write_message_id(event: WebhookEvent) -> str:
    """Return the webhook-id of an event, the same in every call."""
    return f"evt_{event.uuid.hex}"


def write_body(event: WebhookEvent) -> bytes:
    """Return the body of an event's calls, always the same."""
    data: Mapping[str, Any] = event.data
    if event.type == EventType.LETTERS_CHANGED:
        data = {"letters": read_letters(event.owner_id, data["after"], data["until"])}
    body = {"type": event.type, "timestamp": write_time(event.at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def record(results: Sequence[TurnResult], now: datetime) -> bool:
    """Record the outcomes of turns, release the calls that were not sent, and record faults of endpoints.

    Return whether an endpoint was disabled; if so, a letter to its owner is waiting to be sent.
    """
    # Endpoints first, and by ID, as everywhere: their deletion locks them before their calls.
    ordered = sorted(results, key=lambda result: result.turn.endpoint.id)
    are_disabled = [_record_endpoint(result, now) for result in ordered]
    for result in results:
        _record_calls(result, now)
    return any(are_disabled)


def _record_endpoint(result: TurnResult, now: datetime) -> bool:
    """Record whether the endpoint works; return whether it was disabled."""
    last = result.outcomes[-1]
    if last.is_delivered and not result.turn.endpoint.has_faults:
        return False
    locked = select(WebhookEndpoint).where(WebhookEndpoint.id == result.turn.endpoint.id)
    locked = locked.with_for_update(key_share=True).execution_options(populate_existing=True)
    endpoint = db.session.scalar(locked)
    if endpoint is None or not endpoint.is_enabled:
        return False
    if last.is_delivered:
        endpoint.faults, endpoint.faults_since, endpoint.paused_until = 0, None, None
        return False
    endpoint.faults += 1
    endpoint.faults_since = endpoint.faults_since or now
    endpoint.paused_until = now + PAUSES[min(endpoint.faults, len(PAUSES)) - 1]
    if last.code == GONE:
        disable_faulty(endpoint, DisabledReason.GONE)
    elif endpoint.faults >= MIN_FAULTS and now - endpoint.faults_since >= FAULTY_TIME:
        disable_faulty(endpoint, DisabledReason.FAULTS)
    return not endpoint.is_enabled


def _record_calls(result: TurnResult, now: datetime) -> None:
    delivered: dict[tuple[int | None, str], list[int]] = defaultdict(list)
    for outcome in result.outcomes:
        if outcome.is_delivered:
            delivered[outcome.code, outcome.text].append(outcome.call.id)
        else:
            _postpone(outcome, result.turn.lease)
    for (code, text), ids in delivered.items():
        response = {"last_code": code, "last_response": text, "last_at": now}
        _end_lease(
            ids, result.turn.lease, state=CallState.DELIVERED, attempts=WebhookCall.attempts + 1, **response
        )
    sent = {outcome.call.id for outcome in result.outcomes}
    if unsent := [call.id for call in result.turn.calls if call.id not in sent]:
        _end_lease(unsent, result.turn.lease, due_at=now)


def _postpone(outcome: Outcome, lease: datetime) -> None:
    attempts = outcome.call.attempts + 1
    is_over = attempts > len(RETRIES) or outcome.code == GONE
    values: dict[str, object] = {"state": CallState.FAILED}
    if not is_over:
        values = {"due_at": outcome.at + RETRIES[attempts - 1]}
    response = {"last_code": outcome.code, "last_response": outcome.text, "last_at": outcome.at}
    _end_lease([outcome.call.id], lease, attempts=attempts, **values, **response)


def _end_lease(ids: Sequence[int], lease: datetime, **values: object) -> None:
    """Change calls that this worker still leases; the end of the lease identifies the worker."""
    leases.change_leased(WebhookCall, ids, lease, lease_until=None, **values)
