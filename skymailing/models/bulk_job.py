"""Models for actions on so many clients that a worker performs them in the background."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.audit import text_column
from skymailing.models.base import Model, Timestamps
from skymailing.models.segment import TAG_MAX_LENGTH
from skymailing.models.types import JsonObject, Transitions, UTCDateTime, enum_column

FIELD_MAX_LENGTH = 50  # that of keys in `Client.attributes`


class BulkAction(StrEnum):
    """The actions on many clients; stored as text, so that a new action needs no migration."""

    TAG = "tag"
    UNTAG = "untag"
    SUPPRESS = "suppress"
    ALLOW = "allow"
    DELETE = "delete"
    SET = "set"  # the value of a custom field


class BulkState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


BULK_TRANSITIONS = Transitions(
    "bulk job",
    {
        BulkState.PENDING: {BulkState.RUNNING, BulkState.STOPPED, BulkState.FAILED},
        BulkState.RUNNING: {BulkState.FINISHED, BulkState.STOPPED, BulkState.FAILED},
        BulkState.FINISHED: {BulkState.UNDOING},
        BulkState.STOPPED: {BulkState.UNDOING},
        BulkState.FAILED: {BulkState.UNDOING},
        BulkState.UNDOING: {BulkState.UNDONE, BulkState.STOPPED, BulkState.FAILED},
        BulkState.UNDONE: set(),
    },
)
UNFINISHED_BULK_STATES = (BulkState.PENDING, BulkState.RUNNING, BulkState.UNDOING)
IS_UNFINISHED = text("state IN ('pending', 'running', 'undoing')")


class BulkJob(Timestamps, Model):
    """An action on many clients, or the undo of one, with its progress."""

    __tablename__ = "bulk_jobs"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    action: Mapped[BulkAction] = mapped_column(text_column(BulkAction))
    # The tag to add or remove, or NULL if it has been deleted since, and its name at the start.
    tag_id: Mapped[int | None] = mapped_column(ForeignKey("tags.id", ondelete="SET NULL"), index=True)
    tag: Mapped[str] = mapped_column(String(TAG_MAX_LENGTH), default="")
    # The custom field to set, and its value; empty for other actions.
    field: Mapped[str] = mapped_column(String(FIELD_MAX_LENGTH), default="", server_default="")
    value: Mapped[str] = mapped_column(Text, default="", server_default="")
    state: Mapped[BulkState] = mapped_column(enum_column(BulkState, "state"), default=BulkState.PENDING)
    # The number of clients processed so far, which starts again from 0 for an undo, and their total number.
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int]
    # The number of clients that have been changed; after an undo, those that could not be changed back.
    changed: Mapped[int] = mapped_column(default=0)
    # The number of clients that were not changed because they would have exceeded a limit.
    skipped: Mapped[int] = mapped_column(default=0, server_default="0")
    error: Mapped[str] = mapped_column(String(64), default="")  # a code of `web.error_texts`
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        # An owner's actions run one after another, even if two tabs start them at the same time.
        Index(
            "uq_bulk_jobs_unfinished",
            "owner_id",
            unique=True,
            postgresql_where=IS_UNFINISHED,
            sqlite_where=IS_UNFINISHED,
        ),
    )


class BulkChunk(Model):
    """Some of a job's clients, changed in one transaction.

    The clients are stored when the job is created, so clients that match later are not affected.
    """

    __tablename__ = "bulk_chunks"

    job_id: Mapped[int] = mapped_column(ForeignKey("bulk_jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    is_done: Mapped[bool] = mapped_column(default=False)
    # The IDs of the clients; after the change, the data to undo it, with one item per changed client.
    content: Mapped[list[Any]] = mapped_column(JsonObject)
