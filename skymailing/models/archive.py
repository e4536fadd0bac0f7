"""Models for owners' public archives of letters."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.mailing import Mailing
from skymailing.models.types import UTCDateTime
from skymailing.models.user import User

ARCHIVE_SLUG_MAX_LENGTH = 120


class Archive(Timestamps, Model):
    """An owner's archive and its URL, created when the first letter is published."""

    __tablename__ = "archives"

    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    slug: Mapped[str] = mapped_column(String(ARCHIVE_SLUG_MAX_LENGTH), unique=True)

    owner: Mapped[User] = relationship()


class ArchiveEntry(Timestamps, Model):
    """A published letter: the content of a run, rendered without any client's data."""

    __tablename__ = "archive_entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), unique=True)
    slug: Mapped[str] = mapped_column(String(ARCHIVE_SLUG_MAX_LENGTH))
    title: Mapped[str] = mapped_column(String(500))
    # The beginning of the text, for lists and previews.
    summary: Mapped[str] = mapped_column(String(500), default="")
    # The whole page, so that visitors' requests render no letter and retention can remove the run's text.
    html: Mapped[str] = mapped_column(Text, deferred=True)
    # Whether search engines may index the page.
    is_indexed: Mapped[bool] = mapped_column(default=False, server_default=false())
    sent_at: Mapped[datetime] = mapped_column(UTCDateTime)  # when the run started

    mailing: Mapped[Mailing] = relationship()

    __table_args__ = (
        UniqueConstraint("owner_id", "slug"),
        Index(None, "owner_id", "sent_at"),
    )
