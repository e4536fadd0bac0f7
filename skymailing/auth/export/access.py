"""Read an account's API keys, passkeys and identities for the export, without their secrets."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import cells, read_in_chunks
from skymailing.models import ApiKey, Passkey, UserIdentity


def read_api_keys(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the API keys of the user; a key without scopes has all of them."""
    yield ("name", "kind", "begins_with", "created_at", "expires_at", "revoked_at", "scopes")
    columns = (ApiKey.name, ApiKey.kind, ApiKey.prefix, ApiKey.created_at, ApiKey.expires_at)
    statement = select(ApiKey.id, *columns, ApiKey.revoked_at, ApiKey.scopes)
    for row in read_in_chunks(statement.where(ApiKey.owner_id == user_id), ApiKey.__table__.c.id):
        *values, scopes = cells(row)
        yield (*values, " ".join(scopes))


def read_passkeys(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the passkeys of the user."""
    names = ("name", "created_at", "used_at")
    yield names
    statement = select(*(getattr(Passkey, name) for name in ("id", *names)))
    for row in read_in_chunks(statement.where(Passkey.user_id == user_id), Passkey.__table__.c.id):
        yield cells(row)


def read_identities(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the accounts at other services that sign in as the user."""
    names = ("issuer", "subject", "email", "created_at", "used_at")
    yield names
    statement = select(*(getattr(UserIdentity, name) for name in ("id", *names)))
    for row in read_in_chunks(statement.where(UserIdentity.user_id == user_id), UserIdentity.__table__.c.id):
        yield cells(row)
