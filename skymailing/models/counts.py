"""Models for counts of deliveries and attempts, so that pages need not count rows.

`skymailing.delivery.ledger.run_counts` updates the counts of runs in the transactions that change the ledger;
`skymailing.reports.daily_rollup` adds them up by day.
"""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model
from skymailing.models.delivery import DeliveryState, Outcome
from skymailing.models.types import BigId, UTCDateTime, enum_column


class ReportedCounts:
    """The counts that reports show, as columns of both intervals and report days."""

    planned: Mapped[int] = mapped_column(BigInteger, default=0)
    sent: Mapped[int] = mapped_column(BigInteger, default=0)
    failed: Mapped[int] = mapped_column(BigInteger, default=0)
    unknown: Mapped[int] = mapped_column(BigInteger, default=0)
    expired: Mapped[int] = mapped_column(BigInteger, default=0)
    suppressed: Mapped[int] = mapped_column(BigInteger, default=0)
    cancelled: Mapped[int] = mapped_column(BigInteger, default=0)
    attempts: Mapped[int] = mapped_column(BigInteger, default=0)
    # Sent letters that were returned, and those that were reported as spam, counted at that time.
    returned: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    complaints: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # Letters in which a person followed a link, counted when the first click was processed.
    clicked: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # Letters through which recipients unsubscribed from the topic or from everything, counted at that time.
    unsubscribed: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


# The names of these columns, for code that handles all of them.
REPORTED_COUNTS = tuple(ReportedCounts.__annotations__)
# The counts that change after a letter was sent, without a ledger change.
LATER_COUNTS = ("returned", "complaints", "clicked", "unsubscribed")


class RunInterval(ReportedCounts, Model):
    """The counts of a run in one interval: one second long at first, 15 minutes long later.

    The sums of a run's intervals are its current counts. A delivery is counted in the interval in which it
    entered its state; `deferred` is the number of deliveries that entered that state minus the number that
    left it.
    """

    __tablename__ = "run_intervals"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    # Copied from the run, so that reports need a single index.
    mailing_id: Mapped[int]
    owner_id: Mapped[int]
    # Seconds from the start of the run to the start of the interval.
    elapsed: Mapped[int]
    deferred: Mapped[int] = mapped_column(BigInteger, default=0)
    # Whether the interval has changed since its day was added up; a database trigger sets this.
    is_fresh: Mapped[bool] = mapped_column(server_default=true())

    __table_args__ = (
        Index(None, "owner_id", "begins_at"),
        Index(None, "mailing_id", "begins_at"),
        Index(
            "ix_run_intervals_fresh",
            "owner_id",
            "begins_at",
            postgresql_where=text("is_fresh"),
            sqlite_where=text("is_fresh"),
        ),
    )


# The delivery states that have a column. Deliveries that are `sending` are few and counted directly;
# the remaining ones are `pending`.
COUNTED_STATES = tuple(state for state in DeliveryState if state.value in RunInterval.__table__.c)


class RunAnswer(Model):
    """A reply to letters that were not accepted, with the number of attempts, in intervals of 15 minutes."""

    __tablename__ = "run_answers"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    # A hash of outcome, code and words, which are too long for a primary key.
    fingerprint: Mapped[str] = mapped_column(String(32), primary_key=True)
    mailing_id: Mapped[int]
    owner_id: Mapped[int]
    outcome: Mapped[Outcome] = mapped_column(enum_column(Outcome, "outcome"))
    code: Mapped[int | None]
    # The reply without the parts that differ between letters, such as addresses and queue IDs.
    words: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(BigInteger, default=0)

    __table_args__ = (Index(None, "owner_id", "begins_at"), Index(None, "mailing_id", "begins_at"))


class RunDomain(Model):
    """The number of a run's attempts that were not accepted at a recipient domain, by outcome."""

    __tablename__ = "run_domains"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    domain: Mapped[str] = mapped_column(String(255), primary_key=True)
    failed: Mapped[int] = mapped_column(BigInteger, default=0)
    deferred: Mapped[int] = mapped_column(BigInteger, default=0)
    unknown: Mapped[int] = mapped_column(BigInteger, default=0)


class ReportDay(ReportedCounts, Model):
    """The sums of a day's intervals and replies, for one mailing or for all mailings of an owner.

    Days begin and end in the owner's time zone. The sums are valid while none of the day's intervals is
    fresh. Each interval that is not fresh is counted in exactly one of the owner's rows for all mailings.
    """

    __tablename__ = "report_days"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # 0 for the sums over all mailings.
    mailing_id: Mapped[int]
    begins_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # Sent minus returned letters of runs that count clicks. NULL if an earlier version added up the day.
    tracked: Mapped[int | None] = mapped_column(BigInteger)
    # JSON lists of [seconds since a run's start, letters sent], and of [code, words, failed attempts].
    times: Mapped[str] = mapped_column(Text)
    reasons: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        UniqueConstraint("owner_id", "mailing_id", "begins_at"),
        # Finds the largest mailings without reading the table.
        Index("ix_report_days_planned", "owner_id", "begins_at", "mailing_id", "planned"),
    )
