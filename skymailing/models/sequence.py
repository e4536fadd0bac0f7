"""Models for sequences: letters that follow an event, one step after another."""

from datetime import date, datetime, time
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Time,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.form import SignupForm
from skymailing.models.mailing import Mailing
from skymailing.models.mailing_choices import EVERY_DAY, OnLate
from skymailing.models.segment import Segment, Tag
from skymailing.models.sender import Sender
from skymailing.models.topic import Topic
from skymailing.models.types import BigId, JsonObject, Transitions, UTCDateTime, enum_column
from skymailing.models.user import User

SEQUENCE_NAME_MAX_LENGTH = 200
DATE_KEY_MAX_LENGTH = 100
MAX_STEPS = 30
IS_ACTIVE = text("state = 'active'")
IS_PAUSED = text("state = 'paused'")


class SequenceState(StrEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"  # clients still enter, but no letter is sent
    ARCHIVED = "archived"


SEQUENCE_TRANSITIONS = Transitions(
    "sequence",
    {
        SequenceState.DRAFT: {SequenceState.ACTIVE, SequenceState.ARCHIVED},
        SequenceState.ACTIVE: {SequenceState.PAUSED, SequenceState.ARCHIVED},
        SequenceState.PAUSED: {SequenceState.ACTIVE, SequenceState.ARCHIVED},
        SequenceState.ARCHIVED: set(),
    },
)


class Trigger(StrEnum):
    """What lets clients enter; in addition, owners and programs can add clients to any sequence."""

    MANUAL = "manual"
    FORM = "form"
    TAG = "tag"
    TOPIC = "topic"
    SEGMENT = "segment"
    DATE = "date"


class WaitUnit(StrEnum):
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"


class EnrolmentState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"  # by the owner, for this client only
    DONE = "done"
    LEFT = "left"


OPEN_ENROLMENT_STATES = (EnrolmentState.ACTIVE, EnrolmentState.PAUSED)


class LeaveReason(StrEnum):
    CONDITION = "condition"  # the sequence's exit condition
    UNREACHABLE = "unreachable"  # unsubscribed, from everything or the topic, or suppressed
    REMOVED = "removed"  # by the owner or a program
    ARCHIVED = "archived"


class Sequence(Timestamps, Model):
    """Letters that clients get one after another, each from when the client entered.

    Its numbers are counted with the enrolments, and keep what deleted clients have added.
    """

    __tablename__ = "sequences"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(SEQUENCE_NAME_MAX_LENGTH))
    state: Mapped[SequenceState] = mapped_column(
        enum_column(SequenceState, "state"), default=SequenceState.DRAFT
    )
    trigger: Mapped[Trigger] = mapped_column(enum_column(Trigger, "trigger"), default=Trigger.MANUAL)
    # What the trigger refers to. NULL once that is deleted: then no one enters until the owner chooses again.
    form_id: Mapped[int | None] = mapped_column(ForeignKey("forms.id", ondelete="SET NULL"), index=True)
    tag_id: Mapped[int | None] = mapped_column(ForeignKey("tags.id", ondelete="SET NULL"), index=True)
    joined_topic_id: Mapped[int | None] = mapped_column(
        ForeignKey("topics.id", ondelete="SET NULL"), index=True
    )
    segment_id: Mapped[int | None] = mapped_column(ForeignKey("segments.id", ondelete="SET NULL"), index=True)
    # The trigger DATE: the custom field, how many days after it (negative: before) clients enter, and
    # whether they do so on each anniversary.
    date_key: Mapped[str] = mapped_column(String(DATE_KEY_MAX_LENGTH), default="", server_default="")
    date_offset: Mapped[int] = mapped_column(default=0, server_default="0")
    is_yearly: Mapped[bool] = mapped_column(default=True, server_default=true())
    # How many days after entering clients may enter again, once they are through or have left. NULL: never.
    reenter_days: Mapped[int | None]
    # Conditions as in segments: clients who meet them leave before the next letter. NULL: none.
    exit_conditions: Mapped[dict[str, Any] | None] = mapped_column(JsonObject)
    # What happens to letters that are more than a day late, for example after a pause.
    on_late: Mapped[OnLate] = mapped_column(enum_column(OnLate, "on_late"), default=OnLate.SEND)
    # The sending hours, as in mailings.
    weekdays: Mapped[str] = mapped_column(String(7), default=EVERY_DAY)
    opens_at: Mapped[time | None] = mapped_column(Time)
    closes_at: Mapped[time | None] = mapped_column(Time)
    # Copied to the mailings of its steps, whose keys keep these from being deleted.
    sender_id: Mapped[int | None] = mapped_column(ForeignKey("senders.id", ondelete="SET NULL"), index=True)
    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topics.id", ondelete="SET NULL"), index=True)
    track_clicks: Mapped[bool] = mapped_column(default=False, server_default=false())
    # For the trigger SEGMENT: when its members were last looked for. For DATE: the last day that was handled.
    checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    checked_on: Mapped[date | None]
    # When a backup was restored: letters that were due by then may have been sent after the backup, so they
    # are skipped. NULL: never, or the owner has decided to send them.
    restored_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    entered: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    done: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    left: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # Grows with every change, so that a form notices that another tab has saved the sequence.
    version: Mapped[int] = mapped_column(default=1, server_default="1")

    owner: Mapped[User] = relationship()
    form: Mapped[SignupForm | None] = relationship()
    tag: Mapped[Tag | None] = relationship()
    segment: Mapped[Segment | None] = relationship()
    sender: Mapped[Sender | None] = relationship()
    joined_topic: Mapped[Topic | None] = relationship(foreign_keys=joined_topic_id)
    topic: Mapped[Topic | None] = relationship(foreign_keys=topic_id)
    steps: Mapped[list["SequenceStep"]] = relationship(
        back_populates="sequence", order_by="SequenceStep.position", passive_deletes=True
    )

    # The log of changes refers to sequences by their IDs, so a deleted one's ID is never reused.
    __table_args__ = (Index(None, "owner_id", "id"), {"sqlite_autoincrement": True})


class SequenceStep(Model):
    """A letter of a sequence, and how long clients wait for it after the step before.

    Its letters are deliveries of a hidden mailing. A step that is removed stays for those who are waiting for
    it: when their time comes, they go on without its letter.
    """

    __tablename__ = "sequence_steps"

    id: Mapped[int] = mapped_column(primary_key=True)
    sequence_id: Mapped[int] = mapped_column(ForeignKey("sequences.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id"), unique=True)
    wait: Mapped[int] = mapped_column(default=0)
    wait_unit: Mapped[WaitUnit] = mapped_column(enum_column(WaitUnit, "wait_unit"), default=WaitUnit.DAYS)
    # The time of the day, in the owner's time zone; NULL: when the wait is over.
    at_time: Mapped[time | None] = mapped_column(Time)
    # Conditions as in segments: other clients go on without this letter. NULL: none.
    conditions: Mapped[dict[str, Any] | None] = mapped_column(JsonObject)
    removed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Clients who went on without its letter, and those who left while they were waiting for it.
    skipped: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    left: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # Grows with every change of its values, as that of the sequence does with every change.
    version: Mapped[int] = mapped_column(default=1, server_default="1")

    sequence: Mapped[Sequence] = relationship(back_populates="steps")
    mailing: Mapped[Mailing] = relationship()

    # Enrolments refer to steps by these IDs, so a deleted step's ID is never reused.
    __table_args__ = ({"sqlite_autoincrement": True},)


class Enrolment(Model):
    """A client's progress in a sequence. The last one of a client is kept: it prevents repeated letters."""

    __tablename__ = "enrolments"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sequence_id: Mapped[int] = mapped_column(ForeignKey("sequences.id", ondelete="CASCADE"))
    client_id: Mapped[int] = mapped_column(BigId, ForeignKey("clients.id", ondelete="CASCADE"))
    # Counts a client's entries from 1. For the trigger DATE: the year of the anniversary, or the date as
    # YYYYMMDD, so that no occurrence counts twice; entries by hand, and those after another trigger was
    # chosen, then count down from -1.
    entry: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(16), default=EnrolmentState.ACTIVE)  # EnrolmentState
    # The step that the client waits for; the last one when it ended. No foreign key, as its check would cost
    # more than the update.
    step_id: Mapped[int]
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    entered_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    left_reason: Mapped[str] = mapped_column(String(16), default="", server_default="")  # LeaveReason

    __table_args__ = (
        # In this order, it also finds a client's enrolments.
        UniqueConstraint("client_id", "sequence_id", "entry"),
        Index(None, "sequence_id", "id"),
        CheckConstraint("state <> 'active' OR due_at IS NOT NULL", name="due"),
        # For the sweep, and for the number of clients who are waiting for a step.
        Index("ix_enrolments_due", "step_id", "due_at", postgresql_where=IS_ACTIVE, sqlite_where=IS_ACTIVE),
        # For the number of clients whom the owner has paused, who are few.
        Index("ix_enrolments_paused", "step_id", postgresql_where=IS_PAUSED, sqlite_where=IS_PAUSED),
    )


class StepLetter(Model):
    """A note that an enrolment's letter of a step was planned, so that no client gets a step twice.

    Written in the transaction that inserts the delivery. An enrolment is one entry of one client, so the key
    is the step, the client and the entry.
    """

    __tablename__ = "step_letters"

    enrolment_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("enrolments.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    step_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)

    __table_args__ = ({"sqlite_with_rowid": False},)


class SequenceSignal(Model):
    """A note that a client may enter a sequence: it got the tag, joined the topic, or confirmed the form.

    Written in the transaction of that event: for tags and topics by a trigger of the database, so that no way
    to add a tag can be forgotten. A migration that rebuilds `client_tags` or `topic_choices` on SQLite must
    create the triggers again.
    """

    __tablename__ = "sequence_signals"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sequence_id: Mapped[int] = mapped_column(ForeignKey("sequences.id", ondelete="CASCADE"), index=True)
    client_id: Mapped[int] = mapped_column(BigId)  # may have been deleted since
