"""Models for files: their contents, and the messages, runs and letters that they are attached to."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model
from skymailing.models.types import BigId, UTCDateTime


class StoredFile(Model):
    """The content of a file, stored once for all of its owner's messages, runs and links; never changed.

    It is in the database, because workers on other hosts send it. Foreign keys to it have no action: unlike
    RESTRICT, this allows deleting it together with its uses, as when an account is deleted.
    """

    __tablename__ = "stored_files"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256
    size: Mapped[int]  # bytes
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    # When the file was last uploaded; it is kept for some time after that, even if nothing uses it.
    uploaded_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)

    __table_args__ = (UniqueConstraint("owner_id", "digest"),)


class MessageFile(Model):
    """A file attached to a message, or to a deleted message that can be restored from its draft."""

    __tablename__ = "message_files"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    draft_id: Mapped[int | None] = mapped_column(
        ForeignKey("message_drafts.id", ondelete="CASCADE"), index=True
    )
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_files.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    content_type: Mapped[str] = mapped_column(String(100))

    file: Mapped[StoredFile] = relationship(lazy="joined", innerjoin=True)


class RunFile(Model):
    """A file attached to the letters of a run, copied from the message when the run starts."""

    __tablename__ = "run_files"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    # The variant whose letters have the file; 0 without a test.
    variant: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_files.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    content_type: Mapped[str] = mapped_column(String(100))

    file: Mapped[StoredFile] = relationship(lazy="joined", innerjoin=True)


class LetterFile(Model):
    """A file attached to transactional letters, as part of their content."""

    __tablename__ = "letter_files"

    content_id: Mapped[int] = mapped_column(
        ForeignKey("letter_contents.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_files.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    content_type: Mapped[str] = mapped_column(String(100))

    file: Mapped[StoredFile] = relationship(lazy="joined", innerjoin=True)


class FileLink(Model):
    """A public link to a file, for letters that contain the link instead of the file."""

    __tablename__ = "file_links"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # The part of the URL that cannot be guessed.
    token: Mapped[str] = mapped_column(String(32), unique=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_files.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    content_type: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # When the sweep last found the link in a message, draft or run, and when it last searched for it.
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    looked_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)

    file: Mapped[StoredFile] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (Index(None, "owner_id", "id"),)
