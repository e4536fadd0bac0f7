"""Mailings and their runs."""

from datetime import datetime, time
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.message import Message, MessageFormat
from skymailing.models.types import Transitions, UTCDateTime, enum_column
from skymailing.models.user import User


class Audience(StrEnum):
    ALL = "all"
    SELECTED = "selected"


class Periodicity(StrEnum):
    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class OnUnknown(StrEnum):
    """What follows when nobody can know whether the server took a letter."""

    RESEND = "resend"
    HOLD = "hold"


class OnLate(StrEnum):
    """What follows when a run could not start at its time, as when the service was down."""

    SEND = "send"
    SKIP = "skip"


class MailingState(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


MAILING_TRANSITIONS = Transitions(
    "mailing",
    {
        MailingState.DRAFT: {MailingState.SCHEDULED, MailingState.FINISHED, MailingState.CANCELLED},
        MailingState.SCHEDULED: {
            MailingState.DRAFT,
            MailingState.RUNNING,
            MailingState.PAUSED,
            MailingState.FINISHED,
            MailingState.CANCELLED,
        },
        MailingState.RUNNING: {
            MailingState.SCHEDULED,
            MailingState.PAUSED,
            MailingState.FINISHED,
            MailingState.CANCELLED,
        },
        MailingState.PAUSED: {
            MailingState.SCHEDULED,
            MailingState.RUNNING,
            MailingState.FINISHED,
            MailingState.CANCELLED,
        },
        # "Resend to failed" takes a finished mailing's last run up again; a later end lets a recurring
        # one go on.
        MailingState.FINISHED: {MailingState.RUNNING, MailingState.SCHEDULED},
        MailingState.CANCELLED: set(),
    },
)


class StateReason(StrEnum):
    """Why a mailing is in its state, when that is not plain; a detail may follow after ": "."""

    WINDOW_OVER = "window-over"
    NO_CLIENTS = "no-clients"
    TOO_LATE = "too-late"
    REFUSED = "refused"  # the sender or the route, whoever the letter is for
    REJECTED = "rejected"  # the letters, one after another alike
    NOT_WRITABLE = "not-writable"  # the letters cannot even be written
    RESTORED = "restored"  # with the moment of the backup


class RunState(StrEnum):
    PLANNED = "planned"
    SENDING = "sending"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    # Its time was missed and the mailing's choice is to send nothing late; it has no deliveries.
    SKIPPED = "skipped"


RUN_TRANSITIONS = Transitions(
    "run",
    {
        RunState.PLANNED: {RunState.SENDING, RunState.FINISHED, RunState.CANCELLED},
        RunState.SENDING: {RunState.FINISHED, RunState.CANCELLED},
        RunState.FINISHED: {RunState.SENDING},
        RunState.CANCELLED: set(),
        RunState.SKIPPED: set(),
    },
)

EVERY_DAY = "1234567"

mailing_clients = Table(
    "mailing_clients",
    Model.metadata,
    Column("mailing_id", ForeignKey("mailings.id", ondelete="CASCADE"), primary_key=True),
    Column("client_id", ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "client_id"),
)


class Mailing(Timestamps, Model):
    """One message to an audience, inside a window, once or again and again."""

    __tablename__ = "mailings"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # A message that a mailing uses cannot be deleted.
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="RESTRICT"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    sender_name: Mapped[str] = mapped_column(String(200), default="")
    audience: Mapped[Audience] = mapped_column(enum_column(Audience, "audience"), default=Audience.ALL)
    # The window: nothing leaves before the one or after the other.
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    periodicity: Mapped[Periodicity] = mapped_column(
        enum_column(Periodicity, "periodicity"), default=Periodicity.ONCE
    )
    on_unknown: Mapped[OnUnknown] = mapped_column(
        enum_column(OnUnknown, "on_unknown"), default=OnUnknown.RESEND
    )
    on_late: Mapped[OnLate] = mapped_column(enum_column(OnLate, "on_late"), default=OnLate.SEND)
    # When letters may leave, on the owner's clock: the days of the week (1 is Monday) and the hours,
    # past midnight when they close before they open; no hours mean the whole day.
    weekdays: Mapped[str] = mapped_column(String(7), default=EVERY_DAY)
    opens_at: Mapped[time | None] = mapped_column(Time)
    closes_at: Mapped[time | None] = mapped_column(Time)
    state: Mapped[MailingState] = mapped_column(
        enum_column(MailingState, "state"), default=MailingState.DRAFT
    )
    # A StateReason, perhaps with a detail.
    state_reason: Mapped[str] = mapped_column(String(500), default="")
    # When the next run is due; none when there will be no further one, and while a run is under way,
    # unless a change of the times has settled what follows it.
    next_run_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # A manager's mark, apart from the state: nothing of the mailing is sent while it is set.
    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    disabled_reason: Mapped[str] = mapped_column(String(500), default="")

    owner: Mapped[User] = relationship()
    message: Mapped[Message] = relationship()
    runs: Mapped[list["Run"]] = relationship(back_populates="mailing", order_by="Run.scheduled_for")

    __table_args__ = (
        Index(None, "owner_id", "id"),
        # The start page shows what runs and comes next, a few among all that is over.
        Index(None, "owner_id", "state"),
        # The sweep looks for what is due; few mailings are scheduled at any time.
        Index("ix_mailings_due", "next_run_at"),
    )

    @property
    def is_disabled(self) -> bool:
        return self.disabled_at is not None


class Run(Model):
    """One occurrence of a mailing, with the content as it was when the run started."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"))
    # Message-IDs derive from it: uuid5(run.uuid, delivery id), the same on every attempt.
    uuid: Mapped[UUID] = mapped_column(Uuid, default=uuid4)
    scheduled_for: Mapped[datetime] = mapped_column(UTCDateTime)
    state: Mapped[RunState] = mapped_column(enum_column(RunState, "state"), default=RunState.PLANNED)
    planned: Mapped[int] = mapped_column(BigInteger, default=0)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The snapshot.
    subject: Mapped[str] = mapped_column(String(500))
    format: Mapped[MessageFormat] = mapped_column(enum_column(MessageFormat, "format"))
    body: Mapped[str] = mapped_column(Text)
    sender_name: Mapped[str] = mapped_column(String(200))
    reply_to: Mapped[str] = mapped_column(String(320))

    mailing: Mapped[Mailing] = relationship(back_populates="runs")

    __table_args__ = (
        # A double click, two schedulers and a repeated command all end at this key.
        UniqueConstraint("mailing_id", "scheduled_for"),
        Index(None, "state"),
    )
