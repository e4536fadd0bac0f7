"""Model for layouts, which surround the content of messages."""

from sqlalchemy import ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model, Timestamps

LAYOUT_NAME_MAX_LENGTH = 100


class Layout(Timestamps, Model):
    """A frame into which messages are composed: a design with a content block, or HTML with {{ content }}."""

    __tablename__ = "layouts"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(LAYOUT_NAME_MAX_LENGTH))
    # A SourceFormat: a design (JSON) or HTML.
    format: Mapped[str] = mapped_column(String(16))
    body: Mapped[str] = mapped_column(Text)
    # Whether the layout is preselected for new messages.
    is_default: Mapped[bool] = mapped_column(default=False, server_default=false())

    __table_args__ = (Index(None, "owner_id", "id"),)
