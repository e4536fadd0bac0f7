"""Models for API access: keys, and stored responses to requests that may be repeated."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, LargeBinary, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.clock import utcnow
from skymailing.models.base import Model
from skymailing.models.types import BigId, JsonObject, UTCDateTime, enum_column
from skymailing.models.user import User


class KeyKind(StrEnum):
    LIVE = "live"
    TEST = "test"  # letters and mailings added with the key are caught instead of sent


class ApiKey(Model):
    """A program's access to its owner's data. The key itself is shown once and never stored."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    kind: Mapped[KeyKind] = mapped_column(enum_column(KeyKind, "kind"), default=KeyKind.LIVE)
    # The first characters of the key, so that its owner can recognize it.
    prefix: Mapped[str] = mapped_column(String(20))
    # SHA-256. Unlike passwords, keys need no slow hash, because they have 160 random bits.
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    # Values of `api.scopes.Scope`; empty: all, including those of later versions.
    scopes: Mapped[list[str]] = mapped_column(JsonObject, default=list)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    owner: Mapped[User] = relationship()

    def works_at(self, now: datetime) -> bool:
        """Return whether the key itself is valid; its owner may still be blocked."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class IdempotentRequest(Model):
    """A POST request with an Idempotency-Key, and its response once it has been processed."""

    __tablename__ = "idempotent_requests"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(255))
    # SHA-256 of method, path, query and body: the same key cannot be used for another request.
    request_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    # When a repeated request may take over, in case the process that handles this one has crashed.
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The response, stored in the transaction of the change; NULL while the request is being processed.
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[list[list[str]] | None] = mapped_column(JsonObject)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)

    __table_args__ = (UniqueConstraint("owner_id", "key"),)
