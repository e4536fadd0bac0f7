"""Remember the responses to requests with an Idempotency-Key, so that a repeated request changes nothing.

A request first claims its key, with a lease, in a separate transaction. Its response is stored in the
transaction that makes its change. So after a crash, either both exist, or a repeated request may take over
once the lease has expired.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from skymailing.api.problems import ApiError
from skymailing.db.engine import execute_counting, insert_into
from skymailing.extensions import db
from skymailing.models import IdempotentRequest

LIFETIME = timedelta(hours=24)
LEASE = timedelta(seconds=60)
MAX_KEY_LENGTH = 255
BATCH = 1_000  # rows deleted in one transaction


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A stored response."""

    status: int
    headers: list[list[str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to process a request until the lease expires."""

    row_id: int
    lease_until: datetime


def check_key(key: str) -> None:
    """Raise ApiError for a key that cannot be stored."""
    if not (0 < len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise ApiError(400, "idempotency_key_invalid")


def mark_test_key(key: str) -> str:
    """Return the key to store for a request with a test API key; it differs from every key of a live request.

    The key of a live request is stored unchanged and contains no tab. The digest always fits in the column.
    """
    return "test\t" + hashlib.sha256(key.encode()).hexdigest()


def hash_request(method: str, path: str, body: bytes) -> str:
    digest = hashlib.sha256(f"{method} {path}\n".encode())
    digest.update(body)
    return digest.hexdigest()


def claim(owner_id: int, key: str, request_hash: str, now: datetime) -> Claim | StoredResponse:
    """Claim a key for this request, or return the stored response to the same request; the caller commits.

    Raises ApiError if the key belongs to a different request, or if the same request is being processed.
    """
    lease = now + LEASE
    values = {
        "owner_id": owner_id,
        "key": key,
        "request_hash": request_hash,
        "created_at": now,
        "lease_until": lease,
    }
    inserted = insert_into(IdempotentRequest).values(values).on_conflict_do_nothing()
    row_id = db.session.scalar(inserted.returning(IdempotentRequest.id))
    if row_id is not None:
        return Claim(row_id, lease)
    same = (IdempotentRequest.owner_id == owner_id) & (IdempotentRequest.key == key)
    row = db.session.scalar(select(IdempotentRequest).where(same).with_for_update())
    if row is None:  # deleted since the INSERT
        raise ApiError(409, "idempotency_running", {"Retry-After": "1"})
    # A request that ended without a response changed nothing, so a different one may use its key.
    is_abandoned = row.status is None and (row.lease_until is None or row.lease_until <= now)
    if is_abandoned or row.created_at <= now - LIFETIME:
        row.request_hash, row.created_at = request_hash, now
        row.status = row.headers = row.body = None
    elif row.request_hash != request_hash:
        raise ApiError(422, "idempotency_key_reused")
    elif row.status is not None:
        return StoredResponse(row.status, row.headers or [], row.body or b"")
    else:
        assert row.lease_until is not None
        seconds = (row.lease_until - now).seconds + 1
        raise ApiError(409, "idempotency_running", {"Retry-After": str(seconds)})
    row.lease_until = lease
    return Claim(row.id, lease)


def store(claimed: Claim, stored: StoredResponse) -> None:
    """Store the response in the caller's transaction.

    Raises ApiError if the lease has expired and a repeated request has taken over.
    """
    is_ours = (IdempotentRequest.id == claimed.row_id) & (
        IdempotentRequest.lease_until == claimed.lease_until
    )
    values = {
        "status": stored.status,
        "headers": stored.headers,
        "body": stored.body,
        "lease_until": None,
    }
    if not execute_counting(update(IdempotentRequest).where(is_ours).values(values)):
        raise ApiError(409, "idempotency_running", {"Retry-After": "1"})


def release(claimed: Claim) -> None:
    """Delete a claim without a stored response, so that the request can be repeated immediately."""
    is_ours = (IdempotentRequest.id == claimed.row_id) & (
        IdempotentRequest.lease_until == claimed.lease_until
    )
    db.session.execute(delete(IdempotentRequest).where(is_ours))


def delete_expired(now: datetime) -> None:
    """Delete a batch of responses that have expired."""
    expired = select(IdempotentRequest.id).where(IdempotentRequest.created_at <= now - LIFETIME).limit(BATCH)
    # On SQLite even a DELETE that finds nothing takes the write lock, so check first.
    if ids := db.session.scalars(expired).all():
        db.session.execute(delete(IdempotentRequest).where(IdempotentRequest.id.in_(ids)))
