"""Models for the domains that owners send from, and the keys that sign their letters."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.types import JsonObject, UTCDateTime
from skymailing.models.user import User

DOMAIN_MAX_LENGTH = 253


class RecordState(StrEnum):
    """The state of a DNS record that an owner should create."""

    FOUND = "found"
    MISSING = "missing"
    WRONG = "wrong"
    UNKNOWN = "unknown"  # not checked yet, or DNS did not respond


class SendingDomain(Timestamps, Model):
    """A domain that an owner sends from; a DNS record proves that the owner controls it."""

    __tablename__ = "sending_domains"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # In lowercase and ASCII (IDNA).
    name: Mapped[str] = mapped_column(String(DOMAIN_MAX_LENGTH))
    # The value in the DNS record that proves ownership.
    token: Mapped[str] = mapped_column(String(32))
    verified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # When the record was first found missing; the verification is revoked a few days later.
    missing_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Whether we sign the letters; otherwise, the mail server may do so.
    is_signed: Mapped[bool] = mapped_column(default=True, server_default=true())
    checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # When the owner requested a check that has not finished yet.
    check_requested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The results by the records' purpose: `{"state": RecordState, "found": the value in DNS}`.
    findings: Mapped[dict[str, Any]] = mapped_column(JsonObject, default=dict, server_default=text("'{}'"))
    # When a test letter was last sent from the domain to ourselves, and its result; see models/probe.py.
    probe_sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    probe: Mapped[dict[str, Any]] = mapped_column(JsonObject, default=dict, server_default=text("'{}'"))

    owner: Mapped[User] = relationship()
    keys: Mapped[list["SigningKey"]] = relationship(
        order_by="SigningKey.number", cascade="all, delete-orphan", passive_deletes=True
    )

    __table_args__ = (
        UniqueConstraint("owner_id", "name"),
        # Only one owner can verify a domain.
        Index(
            "ix_sending_domains_verified",
            "name",
            unique=True,
            postgresql_where=text("verified_at IS NOT NULL"),
            sqlite_where=text("verified_at IS NOT NULL"),
        ),
        Index(None, "checked_at"),
    )

    @property
    def is_verified(self) -> bool:
        return self.verified_at is not None


class SigningKey(Model):
    """A key that signs a domain's letters (DKIM) once its public half has been found in DNS.

    The newest published key signs; earlier ones are kept for letters that are still in transit.
    """

    __tablename__ = "signing_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("sending_domains.id", ondelete="CASCADE"))
    # Counts from 1 within the domain.
    number: Mapped[int]
    # Part of the record's name, `<selector>._domainkey.<domain>`.
    selector: Mapped[str] = mapped_column(String(63))
    # The private key, encrypted.
    secret: Mapped[str] = mapped_column(Text)
    # The public key as in the record: its SubjectPublicKeyInfo in base64.
    public: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    published_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (UniqueConstraint("domain_id", "number"),)
