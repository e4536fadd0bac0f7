"""Create, find and revoke API keys."""

import hashlib
import re
import secrets
import string
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, delete, or_, select
from sqlalchemy.orm import contains_eager

from skymailing import audit
from skymailing.api.scopes import clean_scopes
from skymailing.audit import Actor
from skymailing.caching.invalidation import shared_cache
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import ApiKey, AuditAction, KeyKind, User
from skymailing.quotas.checks import count_up_to

ALPHABET = string.ascii_letters + string.digits
RANDOM_LENGTH = 27  # characters, 160 bits
KEY = re.compile(rf"sky_(?:live|test)_[A-Za-z0-9]{{{RANDOM_LENGTH}}}")
SHOWN = 13  # characters of a key that pages show, so that its owner recognizes it
NAME_MAX_LENGTH = 100
MAX_KEYS = 50  # valid ones per owner
SEEN_LIFETIME = timedelta(days=400)
KEPT = timedelta(days=90)  # after a key has been revoked or has expired


class TooManyKeys(UserError):
    """The owner has as many keys as allowed."""

    def __init__(self) -> None:
        super().__init__("api_key_limit", limit=MAX_KEYS)


def make_key(
    owner: User, name: str, kind: KeyKind, scopes: Collection[str], expires_at: datetime | None, actor: Actor
) -> tuple[ApiKey, str]:
    """Add a key; return its row and the key itself, which cannot be read again. Raises TooManyKeys."""
    active = select(ApiKey.id).where(ApiKey.owner_id == owner.id, ApiKey.revoked_at.is_(None))
    if count_up_to(active, MAX_KEYS) >= MAX_KEYS:
        raise TooManyKeys
    secret = f"sky_{kind}_" + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    row = ApiKey(
        owner_id=owner.id,
        name=name,
        kind=kind,
        prefix=secret[:SHOWN],
        digest=digest_of(secret),
        scopes=clean_scopes(scopes),
        expires_at=expires_at,
    )
    db.session.add(row)
    db.session.flush()
    audit.record(AuditAction.API_KEY_CREATED, actor, row)
    return row, secret


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


# Built only once, because every request of a program executes it.
_KEY = (
    select(ApiKey)
    .join(ApiKey.owner)
    .options(contains_eager(ApiKey.owner))
    .where(ApiKey.digest == bindparam("digest"))
)


def find_key(secret: str, now: datetime) -> ApiKey | None:
    """Return the key with its owner, or None if either may not use the API now.

    The index contains digests, so the time that a lookup takes reveals nothing about existing keys.
    """
    if not KEY.fullmatch(secret):
        return None
    key = db.session.scalar(_KEY, {"digest": digest_of(secret)})
    if key is None or not key.works_at(now):
        return None
    return key if key.owner.is_active and key.owner.deletion_at is None else None


def list_keys(owner_id: int) -> Sequence[ApiKey]:
    """Return the owner's keys, including those that are no longer valid, newest first."""
    statement = select(ApiKey).where(ApiKey.owner_id == owner_id)
    return db.session.scalars(statement.order_by(ApiKey.id.desc())).all()


def revoke_key(key: ApiKey, now: datetime, actor: Actor) -> None:
    """Revoke a key; does nothing if it is already invalid."""
    if key.revoked_at is None:
        key.revoked_at = now
        audit.record(AuditAction.API_KEY_REVOKED, actor, key)


def note_use(key_id: int, now: datetime) -> None:
    """Store the time of a key's last use in Redis, so that reading requests do not write to the database."""
    shared_cache().set(_seen_key(key_id), now.timestamp(), SEEN_LIFETIME)


def last_use_times(keys: Sequence[ApiKey]) -> dict[int, datetime]:
    """Return the time of each key's last use, by ID; keys without a time in Redis are omitted."""
    times = shared_cache().get_many(*(_seen_key(key.id) for key in keys)) if keys else []
    used = zip(keys, times, strict=True)
    return {key.id: datetime.fromtimestamp(time, UTC) for key, time in used if time}


def _seen_key(key_id: int) -> str:
    return f"api-key-seen:{key_id}"


def delete_old(now: datetime) -> None:
    """Delete keys that have been invalid for a long time."""
    cutoff = now - KEPT
    is_old = or_(ApiKey.revoked_at < cutoff, ApiKey.expires_at < cutoff)
    # On SQLite even a DELETE that finds nothing takes the write lock, so check first.
    if db.session.scalar(select(ApiKey.id).where(is_old).limit(1)) is not None:
        db.session.execute(delete(ApiKey).where(is_old))
