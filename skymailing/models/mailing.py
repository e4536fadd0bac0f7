"""Models for mailings and their runs."""

from datetime import datetime, time
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
    false,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.mailing_choices import (
    EVERY_DAY,
    Audience,
    OnLate,
    OnUnknown,
    Periodicity,
    RepeatUnit,
)
from skymailing.models.mailing_states import CAUGHT_KINDS, LETTER_KINDS, NO_OWNER, MailingState, RunState
from skymailing.models.message import Message, MessageFormat
from skymailing.models.sender import Sender
from skymailing.models.topic import Topic
from skymailing.models.types import JsonObject, UTCDateTime, enum_column
from skymailing.models.user import User

HOLDS_LETTERS = "kind = 'transactional' AND state IN ('running', 'paused')"
HOLDS_CAUGHT_LETTERS = "kind = 'caught-letters' AND state IN ('running', 'paused')"


OF_SENDER, OF_SERVICE = " AND sender_id IS NOT NULL", " AND sender_id IS NULL"


def _partial_index(name: str, condition: str, *columns: str, unique: bool = False) -> Index:
    where = text(condition)
    return Index(name, *columns, unique=unique, postgresql_where=where, sqlite_where=where)


def _letters_index(name: str, condition: str, *columns: str) -> Index:
    return _partial_index(f"ix_mailings_{name}", condition, *columns, unique=True)


mailing_clients = Table(
    "mailing_clients",
    Model.metadata,
    Column("mailing_id", ForeignKey("mailings.id", ondelete="CASCADE"), primary_key=True),
    Column("client_id", ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "client_id"),
)


class Mailing(Timestamps, Model):
    """A message sent to an audience within a time window, once or repeatedly."""

    __tablename__ = "mailings"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16), default="mailing", server_default="mailing")  # MailingKind
    # A message that a mailing uses cannot be deleted. NULL only in mailings that hold transactional letters,
    # which have their own content; code that reads a mailing's message never gets such a mailing.
    message_id: Mapped[int] = mapped_column(
        ForeignKey("messages.id", ondelete="RESTRICT"), index=True, nullable=True
    )
    name: Mapped[str] = mapped_column(String(200))
    # If empty, the sender's own name is used.
    sender_name: Mapped[str] = mapped_column(String(200), default="")
    # NULL for the service's address. No cascade, because a sender must not disappear from a mailing
    # unnoticed.
    sender_id: Mapped[int | None] = mapped_column(ForeignKey("senders.id", ondelete="RESTRICT"), index=True)
    audience: Mapped[Audience] = mapped_column(enum_column(Audience, "audience"), default=Audience.ALL)
    # People who have left the topic do not get the mailing. No cascade, because they would then get it.
    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topics.id", ondelete="RESTRICT"), index=True)
    # The time window: nothing is sent before or after it.
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    periodicity: Mapped[Periodicity] = mapped_column(
        enum_column(Periodicity, "periodicity"), default=Periodicity.ONCE
    )
    # A custom recurrence: every N days, weeks, months or years; weeks have a list of days (1 is Monday; if
    # empty, the day of the start), and months may use their last day.
    repeat_unit: Mapped[RepeatUnit] = mapped_column(
        enum_column(RepeatUnit, "repeat_unit"), default=RepeatUnit.WEEK, server_default="week"
    )
    repeat_every: Mapped[int] = mapped_column(SmallInteger, default=1, server_default="1")
    repeat_weekdays: Mapped[str] = mapped_column(String(7), default="", server_default="")
    repeat_on_last_day: Mapped[bool] = mapped_column(default=False, server_default=false())
    on_unknown: Mapped[OnUnknown] = mapped_column(
        enum_column(OnUnknown, "on_unknown"), default=OnUnknown.HOLD
    )
    on_late: Mapped[OnLate] = mapped_column(enum_column(OnLate, "on_late"), default=OnLate.SEND)
    # Whether letters are sent at each client's local time, and what happens in zones where this time has
    # passed. Sending hours then apply in local time, too. See `delivery/calendar/local_times.py`.
    is_local_time: Mapped[bool] = mapped_column(default=False, server_default=false())
    on_passed: Mapped[str] = mapped_column(String(16), default="send", server_default="send")  # OnPassed
    # No zone's time for the next run is earlier than this; NULL if that is not known.
    zones_checked_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The sending hours in the owner's time zone: days of the week (1 is Monday) and hours, which extend past
    # midnight if the closing time is earlier than the opening time. Without hours, the whole day.
    weekdays: Mapped[str] = mapped_column(String(7), default=EVERY_DAY)
    opens_at: Mapped[time | None] = mapped_column(Time)
    closes_at: Mapped[time | None] = mapped_column(Time)
    state: Mapped[MailingState] = mapped_column(
        enum_column(MailingState, "state"), default=MailingState.DRAFT
    )
    # A StateReason, optionally with a detail.
    state_reason: Mapped[str] = mapped_column(String(500), default="")
    # When the next run is due; NULL if there is none. While a run is open, it is usually NULL, too, unless
    # the schedule has been changed.
    next_run_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Set by a manager, independently of the state; nothing is sent while it is set.
    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    disabled_reason: Mapped[str] = mapped_column(String(500), default="")
    track_clicks: Mapped[bool] = mapped_column(default=False, server_default=false())
    track_opens: Mapped[str] = mapped_column(String(16), default="off", server_default="off")  # OpenTracking
    # The A/B test of each run (see models/variant.py): the percentage of clients in the sample, 0 for no
    # test; how long to wait for its results; how the winner is chosen.
    sample_percent: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    test_hours: Mapped[int] = mapped_column(SmallInteger, default=4, server_default="4")
    winner_by: Mapped[str] = mapped_column(String(16), default="clicks", server_default="clicks")  # WinnerBy

    owner: Mapped[User] = relationship()
    message: Mapped[Message] = relationship()
    sender: Mapped[Sender | None] = relationship()
    topic: Mapped[Topic | None] = relationship()
    runs: Mapped[list["Run"]] = relationship(back_populates="mailing", order_by="Run.scheduled_for")

    __table_args__ = (
        Index(None, "owner_id", "id"),
        Index(None, "starts_at", "id"),  # for the panel's list
        # The home page lists current and upcoming mailings, which are few compared to finished ones.
        Index(None, "owner_id", "state"),
        Index("ix_mailings_due", "next_run_at"),  # for the sweep, which finds due mailings
        # At most one mailing for the transactional letters from each sender, even if two requests add one
        # simultaneously.
        _letters_index("letters_of_sender", HOLDS_LETTERS + OF_SENDER, "owner_id", "sender_id"),
        _letters_index("letters", HOLDS_LETTERS + OF_SERVICE, "owner_id"),
        _letters_index("caught_letters_of_sender", HOLDS_CAUGHT_LETTERS + OF_SENDER, "owner_id", "sender_id"),
        _letters_index("caught_letters", HOLDS_CAUGHT_LETTERS + OF_SERVICE, "owner_id"),
        # For retention, which deletes what test keys have added.
        _partial_index("ix_mailings_caught", "kind IN ('caught', 'caught-letters')", "owner_id"),
        # Older versions would send such a mailing if it were scheduled.
        CheckConstraint("kind <> 'caught' OR (state <> 'scheduled' AND next_run_at IS NULL)", name="caught"),
    )

    @property
    def is_transactional(self) -> bool:
        return self.kind in LETTER_KINDS

    @property
    def is_caught(self) -> bool:
        """Whether the mailing was added with a test key, and its letters are caught instead of sent."""
        return self.kind in CAUGHT_KINDS

    @property
    def counted_owner_id(self) -> int:
        """The owner in whose logs and reports the mailing's letters are counted."""
        return NO_OWNER if self.is_caught else self.owner_id

    @property
    def is_disabled(self) -> bool:
        return self.disabled_at is not None


class Run(Model):
    """One occurrence of a mailing, with a copy of its content from when it started."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"))
    # Message-IDs are derived from it; see `delivery/rendering/message_ids.py`.
    uuid: Mapped[UUID] = mapped_column(Uuid, default=uuid4)
    scheduled_for: Mapped[datetime] = mapped_column(UTCDateTime)
    state: Mapped[RunState] = mapped_column(enum_column(RunState, "state"), default=RunState.PLANNED)
    planned: Mapped[int] = mapped_column(BigInteger, default=0)
    # While a large run is planned in batches (on SQLite): the last client whose letter has been planned, and
    # the last client who gets a letter. NULL once planning has finished.
    plan_after: Mapped[int | None] = mapped_column(BigInteger)
    plan_until: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # When the removal of the run's deliveries, attempts and text began; its counts are kept.
    details_removed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # False once all these details have been removed.
    has_details: Mapped[bool] = mapped_column(default=True, server_default=true())
    # The content, copied from the message.
    subject: Mapped[str] = mapped_column(String(500))
    format: Mapped[MessageFormat] = mapped_column(enum_column(MessageFormat, "format"))
    body: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(10), default="", server_default="")
    # The sender at that time; without an address, letters have the service's address.
    sender_name: Mapped[str] = mapped_column(String(200))
    sender_address: Mapped[str] = mapped_column(String(320), default="", server_default="")
    reply_to: Mapped[str] = mapped_column(String(320))
    # The sender's mail server; NULL for the installation's. No foreign key, because a reopened run whose
    # server was deleted must not use another one.
    server_id: Mapped[int | None]
    # The mailing's topic. No foreign key, because a reopened run whose topic was deleted must not reach other
    # clients.
    topic_id: Mapped[int | None]
    # The run's audience, with a copy of its segments' conditions; see `describe_audience`. NULL for runs that
    # are older than the column.
    audience: Mapped[dict[str, Any] | None] = mapped_column(JsonObject)
    # Whether Message-IDs identify deliveries. False for runs that an earlier version planned, because a
    # letter's Message-ID must be the same in every attempt.
    has_signed_ids: Mapped[bool] = mapped_column(default=True, server_default=false())
    # Letters that were returned, and letters that clients reported as spam. Their state remains `sent`, so
    # they are not part of the ledger's sum.
    returned: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    complaints: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # Whether clicks on links are recorded, and how opens are recorded.
    track_clicks: Mapped[bool] = mapped_column(default=False, server_default=false())
    track_opens: Mapped[str] = mapped_column(String(16), default="off", server_default="off")  # OpenTracking
    # Letters in which a person followed a link, and those whose recipients unsubscribed.
    clicked: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    unsubscribed: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # The devices on which these people first clicked, if known.
    clicked_on_phone: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    clicked_on_tablet: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    clicked_on_computer: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # The total size of the files attached to a letter (of the variant with the largest files); 0 without
    # files. In a run of transactional letters, the largest possible size.
    file_bytes: Mapped[int] = mapped_column(default=0, server_default="0")
    # Whether each letter waits for its client's local time.
    is_local_time: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The A/B test: when its results are compared, NULL for no test; how long to wait for them once the sample
    # has been sent; how the winner is chosen.
    test_ends_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    test_hours: Mapped[int | None] = mapped_column(SmallInteger)
    winner_by: Mapped[str | None] = mapped_column(String(16))  # WinnerBy
    # The variant that the other clients get, how it was chosen, and when. NULL until then.
    winner: Mapped[int | None] = mapped_column(SmallInteger)
    decision: Mapped[str | None] = mapped_column(String(16))  # Decision
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    mailing: Mapped[Mailing] = relationship(back_populates="runs")

    @property
    def reopened_state(self) -> RunState:
        """The state to which the finished run returns when letters are sent again."""
        if self.is_local_time:
            return RunState.LOCAL
        if self.mailing.is_transactional:
            return RunState.ATTACHED_LETTERS if self.file_bytes else RunState.TRANSACTIONAL
        if self.file_bytes:
            return RunState.ATTACHED
        if self.test_ends_at is not None:
            return RunState.TESTED
        return RunState.SENDING if self.server_id is None else RunState.ROUTED

    @property
    def is_testing(self) -> bool:
        """Whether only letters of the sample may be sent."""
        return self.test_ends_at is not None and self.winner is None

    @property
    def details_kept_days(self) -> int:
        """How many days after the run's end its details were removed; 0 if they have not been removed."""
        if self.details_removed_at is None or self.finished_at is None:
            return 0
        return (self.details_removed_at - self.finished_at).days

    __table_args__ = (
        # Prevents a second run, for example after a double click or with two schedulers.
        UniqueConstraint("mailing_id", "scheduled_for"),
        CheckConstraint("server_id IS NULL OR state NOT IN ('planned', 'sending')", name="own_server"),
        CheckConstraint(
            "test_ends_at IS NULL OR state NOT IN ('planned', 'sending', 'routed')", name="own_variants"
        ),
        CheckConstraint(
            "file_bytes = 0 OR state NOT IN ('planned', 'sending', 'routed', 'tested', 'transactional')",
            name="own_files",
        ),
        CheckConstraint(
            "NOT is_local_time OR state NOT IN ('planned', 'sending', 'routed', 'tested', 'attached')",
            name="own_times",
        ),
        Index(None, "state"),
        # For retention, which finds runs that finished long ago.
        _partial_index("ix_runs_details", "has_details", "finished_at"),
        # For the sweep, which finds tests to decide, and runs whose planning was interrupted.
        _partial_index("ix_runs_test", "test_ends_at IS NOT NULL AND winner IS NULL", "test_ends_at"),
        _partial_index("ix_runs_unplanned", "plan_after IS NOT NULL", "id"),
    )
