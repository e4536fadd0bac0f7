"""Models for blog articles, their drafts and their view counts."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.message import MessageFormat
from skymailing.models.types import JsonObject, UTCDateTime, enum_column
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
    # The language of the text; empty for articles from earlier versions.
    language: Mapped[str] = mapped_column(String(10), default="", server_default="")
    # The image's file name under DATA_DIR/media, and its alternative text.
    image: Mapped[str] = mapped_column(String(255), default="")
    image_alt: Mapped[str] = mapped_column(String(255), default="")
    # The visible part of the image, in the shape of previews on social networks (`blog/covers.py`).
    cover: Mapped[str] = mapped_column(String(255), default="", server_default="")
    crop_x: Mapped[int] = mapped_column(default=50, server_default="50")  # percent
    crop_y: Mapped[int] = mapped_column(default=50, server_default="50")  # percent
    crop_zoom: Mapped[int] = mapped_column(default=100, server_default="100")  # percent
    published_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    views: Mapped[int] = mapped_column(BigInteger, default=0)

    author: Mapped[User | None] = relationship()


class ArticleDraft(Model):
    """Unsaved changes to an article, stored while its author types; readers never see them."""

    __tablename__ = "article_drafts"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # NULL for an article that has never been saved.
    article_id: Mapped[int | None] = mapped_column(ForeignKey("articles.id", ondelete="CASCADE"), index=True)
    # The values of the form's fields.
    fields: Mapped[dict[str, Any]] = mapped_column(JsonObject)
    # When the article was last changed before its form was opened; a field of the form.
    seen: Mapped[str] = mapped_column(String(40), default="")
    # Incremented with every save of the draft, so that two open windows detect each other's changes.
    revision: Mapped[int] = mapped_column(default=1)
    saved_at: Mapped[datetime] = mapped_column(UTCDateTime)
    discarded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        Index(None, "author_id", "id"),
        # For the deletion of discarded drafts, and of drafts that have not been changed for a long time.
        Index(None, "saved_at"),
        Index(None, "discarded_at"),
        # One active draft per author and article.
        Index(
            "ix_article_drafts_active",
            "author_id",
            "article_id",
            unique=True,
            sqlite_where=text("discarded_at IS NULL"),
            postgresql_where=text("discarded_at IS NULL"),
        ),
    )


class ViewFold(Model):
    """A batch of views that has been added to the articles' counts; the row prevents adding it twice."""

    __tablename__ = "view_folds"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    folded_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
