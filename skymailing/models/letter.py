"""Models for transactional letters, such as receipts, and for letters of test keys that were caught."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model
from skymailing.models.delivery import Delivery
from skymailing.models.message import MessageFormat
from skymailing.models.types import BigId, JsonObject, UTCDateTime, enum_column


class LetterContent(Model):
    """The content of transactional letters, stored once for all letters that share it; never changed."""

    __tablename__ = "letter_contents"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(500))
    format: Mapped[MessageFormat] = mapped_column(enum_column(MessageFormat, "format"))
    body: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(10), default="")
    # When a letter last used the content, to the hour; retention removes it together with its last letter.
    used_at: Mapped[datetime] = mapped_column(UTCDateTime)

    __table_args__ = (UniqueConstraint("owner_id", "digest"),)


class TransactionalLetter(Model):
    """The values of a transactional letter that its delivery does not contain."""

    __tablename__ = "transactional_letters"

    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    # Copied from its mailing and its delivery, so that lists need a single index.
    owner_id: Mapped[int]
    email_key: Mapped[str] = mapped_column(String(320), default="", server_default="")
    content_id: Mapped[int] = mapped_column(ForeignKey("letter_contents.id", ondelete="RESTRICT"), index=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    values: Mapped[dict[str, Any]] = mapped_column(JsonObject, default=dict)
    # The program's own ID for the letter, with which it can find the letter.
    reference: Mapped[str] = mapped_column(String(255), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # Whether the letter was added with a test key, and is caught instead of sent. Also copied from its
    # mailing.
    is_caught: Mapped[bool] = mapped_column(default=False, server_default=false())

    delivery: Mapped[Delivery] = relationship()
    content: Mapped[LetterContent] = relationship()

    __table_args__ = (
        Index(None, "owner_id", "delivery_id"),
        Index(None, "owner_id", "reference", "delivery_id"),
        Index(None, "owner_id", "email_key", "delivery_id"),
    )


class CaughtLetter(Model):
    """A letter that a worker has caught instead of sending it, in the form that would have been sent."""

    __tablename__ = "caught_letters"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # Unique, so that a window repeated after a crash replaces its letters.
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"), unique=True)
    email: Mapped[str] = mapped_column(String(320))
    subject: Mapped[str] = mapped_column(String(998))
    # The bytes for the mail server; very large letters are truncated.
    source: Mapped[bytes] = mapped_column(LargeBinary)
    caught_at: Mapped[datetime] = mapped_column(UTCDateTime)

    __table_args__ = (Index(None, "owner_id", "id"),)
