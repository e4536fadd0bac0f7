"""Models for clients and their imports."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.clock import utcnow
from skymailing.models.base import Model, Timestamps
from skymailing.models.types import BigId, JsonObject, Transitions, UTCDateTime, enum_column
from skymailing.models.user import User

NOTE_MAX_LENGTH = 1_000
IS_DELETED = text("deleted_at IS NOT NULL")


class AttributeType(StrEnum):
    """The type of an attribute's values, for comparisons and filters in letters."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes_no"


class Origin(StrEnum):
    """How a client was added."""

    HAND = "hand"
    IMPORT = "import"
    FORM = "form"
    PROGRAM = "program"  # by a program, through the API


class Client(Timestamps, Model):
    """A contact in a user's address book.

    Triggers of this table fill `clients_to_index`. A migration that rebuilds the table on SQLite must
    recreate them.
    """

    __tablename__ = "clients"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # As sent to the mail server: international domains in their ASCII (xn--) form.
    email: Mapped[str] = mapped_column(String(320))
    # `email` in lowercase; decides whether two addresses are the same, here and in suppressions.
    email_key: Mapped[str] = mapped_column(String(320))
    full_name: Mapped[str] = mapped_column(String(200), default="")
    comment: Mapped[str] = mapped_column(Text, default="")
    # The name of an IANA zone; if empty, the owner's zone applies.
    timezone: Mapped[str] = mapped_column(String(64), default="", server_default="")
    # Text values of custom fields by attribute name; {{ client.<name> }} in letters.
    attributes: Mapped[dict[str, Any]] = mapped_column(JsonObject, default=dict)
    # How the client was added (Origin), and the ID of the import or form, which may have been deleted since.
    # NULL if an earlier version added the client.
    origin: Mapped[str | None] = mapped_column(String(16))
    origin_id: Mapped[int | None]

    owner: Mapped[User] = relationship()

    __table_args__ = (
        UniqueConstraint("owner_id", "email_key"),
        # One index for each sort order of the paginated list.
        Index(None, "owner_id", "id"),
        Index(None, "owner_id", "full_name", "id"),
        # To list the time zones of an owner's clients; most clients have none.
        Index(
            "ix_clients_timezone",
            "owner_id",
            "timezone",
            postgresql_where=text("timezone <> ''"),
            sqlite_where=text("timezone <> ''"),
        ),
    )


class ClientNote(Model):
    """A note that the owner added to a client's timeline."""

    __tablename__ = "client_notes"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"), index=True)
    text: Mapped[str] = mapped_column(String(NOTE_MAX_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    # When the owner deleted it, which can be undone for an hour.
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        Index(None, "owner_id", "id"),
        Index("ix_client_notes_deleted", "deleted_at", postgresql_where=IS_DELETED, sqlite_where=IS_DELETED),
    )


class ClientToIndex(Model):
    """A marker for a client that was added, changed or deleted since the search index was updated.

    A client may have several, so that a writer never waits for the job that removes them.
    """

    __tablename__ = "clients_to_index"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(index=True)
    client_id: Mapped[int] = mapped_column(BigId)


class AttributeName(Model):
    """The name of an attribute that some of an owner's clients have, or have had until recently.

    The job that updates the search index adds names, so that exports need not search all clients for them.
    """

    __tablename__ = "attribute_names"

    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    # When a client was last found to have the attribute.
    checked_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow, index=True)


class ImportState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


IMPORT_TRANSITIONS = Transitions(
    "import",
    {
        ImportState.PENDING: {ImportState.RUNNING, ImportState.FAILED},
        ImportState.RUNNING: {ImportState.FINISHED, ImportState.FAILED},
        ImportState.FINISHED: set(),
        ImportState.FAILED: set(),
    },
)


class ClientImport(Timestamps, Model):
    """An uploaded file of clients and the progress of its import."""

    __tablename__ = "client_imports"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    filename: Mapped[str] = mapped_column(String(255))
    # The file, stored here so that a worker on any host can read it; removed when the import ends.
    content: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    # The column names of the file, repeated in the download of rejected rows.
    headers: Mapped[list[str]] = mapped_column(JsonObject, default=list)
    # The encoding and the fields of the columns, as their owner confirmed them (clients.mapping.Mapping).
    mapping: Mapped[dict[str, Any] | None] = mapped_column(JsonObject)
    state: Mapped[ImportState] = mapped_column(enum_column(ImportState, "state"), default=ImportState.PENDING)
    # Rows processed, committed together with their effects: a restarted import continues after them.
    rows_done: Mapped[int] = mapped_column(default=0)
    rows_total: Mapped[int | None]
    # How these people agreed to receive letters, in the owner's words.
    consent_text: Mapped[str] = mapped_column(Text, default="")
    created: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    # Rows of people who had opted out, bounced or complained, and rows of people who never confirmed.
    suppressed: Mapped[int] = mapped_column(default=0)
    left_out: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(String(500), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ClientUpload(Model):
    """An uploaded file whose owner has not confirmed the column mapping yet."""

    __tablename__ = "client_uploads"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    filename: Mapped[str] = mapped_column(String(255))
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)  # always CSV
    mapping: Mapped[dict[str, Any]] = mapped_column(JsonObject, default=dict)
    note: Mapped[str] = mapped_column(String(255), default="")  # the sheet or the files that were read
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)


class ImportRejection(Model):
    """A rejected row of an import, and the reason."""

    __tablename__ = "import_rejections"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("client_imports.id", ondelete="CASCADE"), index=True)
    line: Mapped[int]
    value: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(String(255))
