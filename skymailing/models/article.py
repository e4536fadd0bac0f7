"""Models for blog articles and their view counts."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.message import MessageFormat
from skymailing.models.types import UTCDateTime, enum_column
from skymailing.models.user import User


class Article(Timestamps, Model):
    """A blog article: a draft while it has no publication date, public once the date has passed."""

    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    slug: Mapped[str] = mapped_column(String(120), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    summary: Mapped[str] = mapped_column(String(500), default="")
    format: Mapped[MessageFormat] = mapped_column(
        enum_column(MessageFormat, "format"), default=MessageFormat.MARKDOWN
    )
    body: Mapped[str] = mapped_column(Text)
    # The image's file name under DATA_DIR/media, and its alternative text.
    image: Mapped[str] = mapped_column(String(255), default="")
    image_alt: Mapped[str] = mapped_column(String(255), default="")
    published_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    views: Mapped[int] = mapped_column(BigInteger, default=0)

    author: Mapped[User | None] = relationship()


class ViewFold(Model):
    """A batch of counted views that was added to the articles; the row prevents adding it twice."""

    __tablename__ = "view_folds"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    folded_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
