"""Models for tags, and for segments: saved conditions over clients."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, String, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.clock import utcnow
from skymailing.models.base import Model, Timestamps
from skymailing.models.types import JsonObject, UTCDateTime

TAG_MAX_LENGTH = 100
SEGMENT_NAME_MAX_LENGTH = 200


class Tag(Model):
    """A label that an owner puts on clients."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(TAG_MAX_LENGTH))
    # `name` in lowercase; decides whether two tags are the same.
    name_key: Mapped[str] = mapped_column(String(2 * TAG_MAX_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    __table_args__ = (UniqueConstraint("owner_id", "name_key"),)


client_tags = Table(
    "client_tags",
    Model.metadata,
    # The columns are in this order so that the key finds all clients with a tag.
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
    Column("client_id", ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "client_id"),
    sqlite_with_rowid=False,
)


class Segment(Timestamps, Model):
    """A saved condition over an owner's clients. Its members are computed and never stored."""

    __tablename__ = "segments"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(SEGMENT_NAME_MAX_LENGTH))
    # In the format of `delivery.audience.conditions`.
    conditions: Mapped[dict[str, Any]] = mapped_column(JsonObject)
    # Incremented with every change, so that a form detects changes made in another tab.
    version: Mapped[int] = mapped_column(default=1)


class MailingAudience(Model):
    """A segment or tag whose clients a mailing includes or excludes.

    No cascade, because a segment or tag must not disappear from a mailing unnoticed.
    """

    __tablename__ = "mailing_audience"

    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    is_excluded: Mapped[bool]
    segment_id: Mapped[int | None] = mapped_column(ForeignKey("segments.id", ondelete="RESTRICT"), index=True)
    tag_id: Mapped[int | None] = mapped_column(ForeignKey("tags.id", ondelete="RESTRICT"), index=True)

    segment: Mapped[Segment | None] = relationship()
    tag: Mapped[Tag | None] = relationship()

    __table_args__ = (CheckConstraint("(segment_id IS NULL) <> (tag_id IS NULL)", name="one_target"),)
