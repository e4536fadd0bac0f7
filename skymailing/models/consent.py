"""Models for consents, which are never changed and outlive their clients as evidence."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.clock import utcnow
from skymailing.models.base import Model
from skymailing.models.types import BigId, UTCDateTime

IS_ORPHANED = text("orphaned_at IS NOT NULL")
WAS_CHANGED = text("previous_key <> ''")


class ConsentKind(StrEnum):
    ASKED = "asked"  # submitted a sign-up form
    CONFIRMED = "confirmed"  # followed the link in the confirmation letter
    IMPORTED = "imported"  # the owner stated the consent when importing
    CHANGED = "changed"  # the owner changed the client's address
    WITHDRAWN = "withdrawn"  # unsubscribed
    RESUMED = "resumed"  # undid unsubscribing
    OBJECTED = "objected"  # reported a letter as spam


class ConsentPurpose(StrEnum):
    LETTERS = "letters"
    TRACKING = "tracking"


class ConsentText(Model):
    """A consent's wording, stored once for all consents that share it."""

    __tablename__ = "consent_texts"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256 of the text
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    __table_args__ = (UniqueConstraint("owner_id", "digest"),)


class Consent(Model):
    """A record of when and how a person agreed to something, or withdrew that consent."""

    __tablename__ = "consents"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email_key: Mapped[str] = mapped_column(String(320))
    # ConsentKind; no check constraint, because more kinds will follow.
    kind: Mapped[str] = mapped_column(String(16))
    purpose: Mapped[str] = mapped_column(
        String(16), default=ConsentPurpose.LETTERS, server_default=ConsentPurpose.LETTERS.value
    )
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    ip: Mapped[str] = mapped_column(String(45), default="")
    agent: Mapped[str] = mapped_column(String(300), default="", server_default="")  # the browser
    # The sign-up form. No foreign key, because the consent outlives the form, whose ID is never reused.
    form_id: Mapped[int | None]
    # The earlier address, if the owner changed it.
    previous_key: Mapped[str] = mapped_column(String(320), default="", server_default="")
    text_id: Mapped[int | None] = mapped_column(ForeignKey("consent_texts.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    # When the client with this address was deleted. The client may have been added again since.
    orphaned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    text: Mapped[ConsentText | None] = relationship()

    __table_args__ = (
        Index(None, "owner_id", "email_key"),
        # To find a client by an earlier address.
        Index(
            "ix_consents_changed",
            *("owner_id", "previous_key"),
            postgresql_where=WAS_CHANGED,
            sqlite_where=WAS_CHANGED,
        ),
        Index("ix_consents_orphaned", "orphaned_at", postgresql_where=IS_ORPHANED, sqlite_where=IS_ORPHANED),
    )
