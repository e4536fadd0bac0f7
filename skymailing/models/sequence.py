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
    """The event on which clients enter; owners and programs can also add clients to any sequence."""

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
    UNREACHABLE = "unreachable"  # unsubscribed from everything or from the topic, or suppressed
    REMOVED = "removed"  # by the owner or a program
    ARCHIVED = "archived"


class Sequence(Timestamps, Model):
    """Letters that each client gets one after another after entering.

    Its counts change together with the enrolments, and still include clients that have been deleted.
    """

    __tablename__ = "sequences"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(SEQUENCE_NAME_MAX_LENGTH))
    state: Mapped[SequenceState] = mapped_column(
        enum_column(SequenceState, "state"), default=SequenceState.DRAFT
    )
    trigger: Mapped[Trigger] = mapped_column(enum_column(Trigger, "trigger"), default=Trigger.MANUAL)
    # The object that the trigger refers to. NULL once it has been deleted; no one enters until the owner
    # chooses another one.
    form_id: Mapped[int | None] = mapped_column(ForeignKey("forms.id", ondelete="SET NULL"), index=True)
    tag_id: Mapped[int | None] = mapped_column(ForeignKey("tags.id", ondelete="SET NULL"), index=True)
    joined_topic_id: Mapped[int | None] = mapped_column(
        ForeignKey("topics.id", ondelete="SET NULL"), index=True
    )
    segment_id: Mapped[int | None] = mapped_column(ForeignKey("segments.id", ondelete="SET NULL"), index=True)
    # For the trigger DATE: the custom field, how many days after its date (before, if negative) clients
    # enter, and whether they enter on each anniversary.
    date_key: Mapped[str] = mapped_column(String(DATE_KEY_MAX_LENGTH), default="", server_default="")
    date_offset: Mapped[int] = mapped_column(default=0, server_default="0")
    is_yearly: Mapped[bool] = mapped_column(default=True, server_default=true())
    # How many days after entering clients may enter again, once they have completed or left. NULL for never.
    reenter_days: Mapped[int | None]
    # Conditions in the format of segments; clients who meet them leave before the next letter.
    exit_conditions: Mapped[dict[str, Any] | None] = mapped_column(JsonObject)
    # What happens to letters that are more than a day late, for example after a pause.
    on_late: Mapped[OnLate] = mapped_column(enum_column(OnLate, "on_late"), default=OnLate.SEND)
    # The sending hours, as in mailings.
    weekdays: Mapped[str] = mapped_column(String(7), default=EVERY_DAY)
    opens_at: Mapped[time | None] = mapped_column(Time)
    closes_at: Mapped[time | None] = mapped_column(Time)
    # Copied to the mailings of the steps, whose foreign keys protect the sender and the topic from deletion.
    sender_id: Mapped[int | None] = mapped_column(ForeignKey("senders.id", ondelete="SET NULL"), index=True)
    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topics.id", ondelete="SET NULL"), index=True)
    track_clicks: Mapped[bool] = mapped_column(default=False, server_default=false())
    # For the trigger SEGMENT, when its members were last searched; for DATE, the last day that was processed.
    checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    checked_on: Mapped[date | None]
    # When a backup was restored: letters due before that may have been sent since the backup, so they are
    # skipped. NULL if none was restored, or if the owner has decided to send them.
    restored_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    entered: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    done: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    left: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # Incremented with every change, so that a form detects changes by another tab.
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
    """A letter of a sequence, and how long clients wait for it after the previous step.

    Its letters are deliveries of a hidden mailing. The row of a removed step is kept for the clients who are
    waiting for it: when its letter would be due, they continue without it.
    """

    __tablename__ = "sequence_steps"

    id: Mapped[int] = mapped_column(primary_key=True)
    sequence_id: Mapped[int] = mapped_column(ForeignKey("sequences.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id"), unique=True)
    wait: Mapped[int] = mapped_column(default=0)
    wait_unit: Mapped[WaitUnit] = mapped_column(enum_column(WaitUnit, "wait_unit"), default=WaitUnit.DAYS)
    # The time of day in the owner's time zone; NULL for the moment at which the wait ends.
    at_time: Mapped[time | None] = mapped_column(Time)
    # Conditions in the format of segments; clients who do not meet them continue without this letter.
    conditions: Mapped[dict[str, Any] | None] = mapped_column(JsonObject)
    removed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # How many clients continued without the letter, and how many left while they were waiting for it.
    skipped: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    left: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # Incremented with every change of the step's values.
    version: Mapped[int] = mapped_column(default=1, server_default="1")

    sequence: Mapped[Sequence] = relationship(back_populates="steps")
    mailing: Mapped[Mailing] = relationship()

    # Enrolments refer to steps by these IDs, so a deleted step's ID is never reused.
    __table_args__ = ({"sqlite_autoincrement": True},)


class Enrolment(Model):
    """A client's progress in a sequence. A client's last enrolment is kept, to prevent repeated letters."""

    __tablename__ = "enrolments"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sequence_id: Mapped[int] = mapped_column(ForeignKey("sequences.id", ondelete="CASCADE"))
    client_id: Mapped[int] = mapped_column(BigId, ForeignKey("clients.id", ondelete="CASCADE"))
    # Counts a client's entries from 1. For the trigger DATE, this is the year of the anniversary or the date
    # as YYYYMMDD, so that no occurrence is used twice; manual entries, and those after a change of the
    # trigger, then count down from -1.
    entry: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(16), default=EnrolmentState.ACTIVE)  # EnrolmentState
    # The step that the client waits for, or the last one if the enrolment has ended. No foreign key, because
    # checking it would cost more than the update.
    step_id: Mapped[int]
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    entered_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    left_reason: Mapped[str] = mapped_column(String(16), default="", server_default="")  # LeaveReason

    __table_args__ = (
        # The columns are in this order so that the index also finds a client's enrolments.
        UniqueConstraint("client_id", "sequence_id", "entry"),
        Index(None, "sequence_id", "id"),
        CheckConstraint("state <> 'active' OR due_at IS NOT NULL", name="due"),
        # For the sweep, and for counting the clients who are waiting for a step.
        Index("ix_enrolments_due", "step_id", "due_at", postgresql_where=IS_ACTIVE, sqlite_where=IS_ACTIVE),
        # For counting the clients whom the owner has paused, who are few.
        Index("ix_enrolments_paused", "step_id", postgresql_where=IS_PAUSED, sqlite_where=IS_PAUSED),
    )


class StepLetter(Model):
    """A record that a step's letter was planned for an enrolment, so that no client gets it twice.

    It is inserted in the same transaction as the delivery. Step, client and entry form the key, because an
    enrolment is one entry of one client.
    """

    __tablename__ = "step_letters"

    enrolment_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("enrolments.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    step_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)

    __table_args__ = ({"sqlite_with_rowid": False},)


class SequenceSignal(Model):
    """A signal that a client may enter a sequence: the client got a tag, joined a topic or confirmed a form.

    It is inserted in the same transaction as the event: for tags and topics by database triggers, which cover
    every way to add a tag. A migration that rebuilds `client_tags` or `topic_choices` on SQLite must recreate
    the triggers.
    """

    __tablename__ = "sequence_signals"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sequence_id: Mapped[int] = mapped_column(ForeignKey("sequences.id", ondelete="CASCADE"), index=True)
    client_id: Mapped[int] = mapped_column(BigId)  # may have been deleted since
