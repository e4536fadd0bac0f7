"""Models for messages, their drafts and their images."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.types import UTCDateTime, enum_column
from skymailing.models.user import User

BLOCK_NAME_MAX_LENGTH = 100
TEMPLATE_NAME_MAX_LENGTH = 100
PREHEADER_MAX_LENGTH = 250


class MessageFormat(StrEnum):
    MARKDOWN = "markdown"
    HTML = "html"
    TEXT = "text"


class SourceFormat(StrEnum):
    """The format of the source from which a message's HTML is composed.

    It is empty if the author wrote the body itself. HTML and Markdown are sources only with a layout.
    """

    NONE = ""
    BLOCKS = "blocks"
    MJML = "mjml"
    HTML = "html"
    MARKDOWN = "markdown"


# The formats that are composed even without a layout.
COMPOSED_FORMATS = frozenset({SourceFormat.BLOCKS, SourceFormat.MJML})


class Message(Timestamps, Model):
    """A subject and a body with Liquid placeholders; each run copies them when it starts."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    subject: Mapped[str] = mapped_column(String(500))
    format: Mapped[MessageFormat] = mapped_column(
        enum_column(MessageFormat, "format"), default=MessageFormat.MARKDOWN
    )
    body: Mapped[str] = mapped_column(Text)
    # Shown after the subject in lists of letters; added to the body when a run is planned.
    preheader: Mapped[str] = mapped_column(String(PREHEADER_MAX_LENGTH), default="", server_default="")
    # The language of the footer and the HTML page; empty for messages from earlier versions, whose language
    # is guessed from the text.
    language: Mapped[str] = mapped_column(String(10), default="", server_default="")
    # Incremented with every save, so that two open windows detect each other's changes.
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    # The design (JSON) or the MJML from which the body, which is HTML, was composed.
    source_format: Mapped[str] = mapped_column(String(16), default="", server_default="")  # SourceFormat
    source: Mapped[str] = mapped_column(Text, default="", server_default="")
    # The message's version when the source was saved. If an earlier release changes only the body, the
    # versions differ, and the source no longer applies.
    source_version: Mapped[int | None]
    # Applies only together with the source.
    layout_id: Mapped[int | None] = mapped_column(ForeignKey("layouts.id", ondelete="SET NULL"))

    owner: Mapped[User] = relationship()

    __table_args__ = (Index(None, "owner_id", "id"),)

    @property
    def current_source(self) -> tuple[SourceFormat, str]:
        """The source of the body; empty if it has none, or if the body was changed without it."""
        return _find_source(self, self.source_version, self.version)


class MessageDraft(Model):
    """Unsaved changes to a message, stored while its author types; mailings do not send them.

    Discarded drafts and deleted messages are kept here for some time, so that they can be restored.
    """

    __tablename__ = "message_drafts"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # NULL for a message that has never been saved or has been deleted.
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    subject: Mapped[str] = mapped_column(Text, default="")
    format: Mapped[MessageFormat] = mapped_column(enum_column(MessageFormat, "format"))
    body: Mapped[str] = mapped_column(Text, default="")
    preheader: Mapped[str] = mapped_column(String(PREHEADER_MAX_LENGTH), default="", server_default="")
    language: Mapped[str] = mapped_column(String(10), default="", server_default="")
    # The version of the message that was opened for editing.
    base_version: Mapped[int | None]
    # Incremented with every save of the draft, so that two open windows detect each other's changes.
    revision: Mapped[int] = mapped_column(default=1)
    # As in `Message`; the source applies if `source_revision` is the draft's revision.
    source_format: Mapped[str] = mapped_column(String(16), default="", server_default="")  # SourceFormat
    source: Mapped[str] = mapped_column(Text, default="", server_default="")
    source_revision: Mapped[int | None]
    layout_id: Mapped[int | None] = mapped_column(ForeignKey("layouts.id", ondelete="SET NULL"))
    saved_at: Mapped[datetime] = mapped_column(UTCDateTime)
    discarded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Whether this is a deleted message; restoring it then creates a message again.
    was_message: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        Index(None, "owner_id", "id"),
        # For the deletion of discarded drafts, and of drafts that have not been changed for a long time.
        Index(None, "saved_at"),
        Index(None, "discarded_at"),
        # One active draft per message.
        Index(
            "ix_message_drafts_message_id",
            "message_id",
            unique=True,
            sqlite_where=text("discarded_at IS NULL"),
            postgresql_where=text("discarded_at IS NULL"),
        ),
    )

    @property
    def current_source(self) -> tuple[SourceFormat, str]:
        """The source that the author edits; empty if the author edits the body itself."""
        return _find_source(self, self.source_revision, self.revision)


def _find_source(
    row: "Message | MessageDraft | MessageTemplate", saved: int | None, current: int
) -> tuple[SourceFormat, str]:
    # A later release may have stored a format that this one does not know.
    if saved is None or saved != current or row.source_format not in set(SourceFormat):
        return SourceFormat.NONE, ""
    return SourceFormat(row.source_format), row.source


class SavedBlock(Timestamps, Model):
    """A block that its owner has saved under a name for use in other messages."""

    __tablename__ = "saved_blocks"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(BLOCK_NAME_MAX_LENGTH))
    # The block as JSON, in the format of designs.
    block: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index(None, "owner_id", "id"),)


class MessageTemplate(Timestamps, Model):
    """A message that its owner saved as a template for other messages."""

    __tablename__ = "message_templates"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(TEMPLATE_NAME_MAX_LENGTH))
    subject: Mapped[str] = mapped_column(String(500))
    preheader: Mapped[str] = mapped_column(String(PREHEADER_MAX_LENGTH), default="", server_default="")
    language: Mapped[str] = mapped_column(String(10), default="", server_default="")
    format: Mapped[MessageFormat] = mapped_column(enum_column(MessageFormat, "format"))
    body: Mapped[str] = mapped_column(Text)
    # As in `Message`; the source always applies, because only a template's name can be changed.
    source_format: Mapped[str] = mapped_column(String(16), default="", server_default="")  # SourceFormat
    source: Mapped[str] = mapped_column(Text, default="", server_default="")
    layout_id: Mapped[int | None] = mapped_column(ForeignKey("layouts.id", ondelete="SET NULL"))

    __table_args__ = (Index(None, "owner_id", "id"),)

    @property
    def current_source(self) -> tuple[SourceFormat, str]:
        """The source of the body; empty if its author wrote the body itself."""
        return _find_source(self, 1, 1)


class MessagePicture(Model):
    """An uploaded image with its owner, its size and the time when it was last found in use."""

    __tablename__ = "message_pictures"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    # The file name and the last part of the URL, which cannot be guessed.
    name: Mapped[str] = mapped_column(String(64), unique=True)
    size: Mapped[int]  # bytes
    uploaded_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # When the sweep last checked whether the image is used; it checks those with the earliest time first.
    looked_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
