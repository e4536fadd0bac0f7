"""Letters as their authors write them."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.types import enum_column
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

    owner: Mapped[User] = relationship()

    __table_args__ = (Index(None, "owner_id", "id"),)
