"""Letters as their authors write them, with what is not saved yet and the pictures in them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.types import UTCDateTime, enum_column
from skymailing.models.user import User


class MessageFormat(StrEnum):
    MARKDOWN = "markdown"
    HTML = "html"
    TEXT = "text"


class Message(Timestamps, Model):
    """Subject and body with Liquid placeholders; runs copy it when they start."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    subject: Mapped[str] = mapped_column(String(500))
    format: Mapped[MessageFormat] = mapped_column(
        enum_column(MessageFormat, "format"), default=MessageFormat.MARKDOWN
    )
    body: Mapped[str] = mapped_column(Text)
    # Goes up with every save: who began with an older one is asked before writing over it.
    version: Mapped[int] = mapped_column(default=1, server_default="1")

    owner: Mapped[User] = relationship()

    __table_args__ = (Index(None, "owner_id", "id"),)


class MessageDraft(Model):
    """What is being typed, saved while typing; no mailing ever sends it.

    Kept for a while when it was discarded, and so is a message that was deleted, both for an undo.
    """

    __tablename__ = "message_drafts"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # None for a message that has never been saved, or that was deleted.
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    subject: Mapped[str] = mapped_column(Text, default="")
    format: Mapped[MessageFormat] = mapped_column(enum_column(MessageFormat, "format"))
    body: Mapped[str] = mapped_column(Text, default="")
    # The version of the message that the typing began with.
    base_version: Mapped[int | None]
    # Goes up with every save of the draft, so that two windows notice each other.
    revision: Mapped[int] = mapped_column(default=1)
    saved_at: Mapped[datetime] = mapped_column(UTCDateTime)
    discarded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Whether this was a message, which an undo makes one again.
    was_message: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        Index(None, "owner_id", "id"),
        # One draft at a time of each message.
        Index(
            "ix_message_drafts_message_id",
            "message_id",
            unique=True,
            sqlite_where=text("discarded_at IS NULL"),
            postgresql_where=text("discarded_at IS NULL"),
        ),
    )


class MessagePicture(Model):
    """An uploaded picture: whose it is, how large, and when something of theirs last showed it."""

    __tablename__ = "message_pictures"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    # Its file and the end of its address; nobody can guess it.
    name: Mapped[str] = mapped_column(String(64), unique=True)
    size: Mapped[int]  # bytes
    uploaded_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # When the sweep last looked whether it is used; those that waited longest come first.
    looked_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
