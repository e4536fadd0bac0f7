"""What a run's deliveries and attempts add up to, kept as they change so that nobody has to count them.

Written by `skymailing.delivery.ledger.statistics` alone, in the transactions that change the ledger.
"""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model
from skymailing.models.delivery import Outcome
from skymailing.models.types import BigId, UTCDateTime, enum_column


class RunInterval(Model):
    """What happened to a run's letters in a stretch of time: seconds at first, a quarter of an hour later.

    Summed over its intervals they are the run's counts now. A delivery counts where it came into
    the state that it is in; `deferred` is what came less what went.
    """

    __tablename__ = "run_intervals"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    # Repeated from the run, so that reports are read by one index.
    mailing_id: Mapped[int]
    owner_id: Mapped[int]
    # Seconds from the run's start to the interval's.
    elapsed: Mapped[int]
    planned: Mapped[int] = mapped_column(BigInteger, default=0)
    attempts: Mapped[int] = mapped_column(BigInteger, default=0)
    deferred: Mapped[int] = mapped_column(BigInteger, default=0)
    sent: Mapped[int] = mapped_column(BigInteger, default=0)
    failed: Mapped[int] = mapped_column(BigInteger, default=0)
    unknown: Mapped[int] = mapped_column(BigInteger, default=0)
    suppressed: Mapped[int] = mapped_column(BigInteger, default=0)
    expired: Mapped[int] = mapped_column(BigInteger, default=0)
    cancelled: Mapped[int] = mapped_column(BigInteger, default=0)
    # Whether it changed since its day was added up: a trigger sets it with every change.
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


class RunAnswer(Model):
    """How often servers answered alike, in a quarter of an hour, to letters that they did not take."""

    __tablename__ = "run_answers"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    # Of outcome, code and words, which together are too long for a key.
    fingerprint: Mapped[str] = mapped_column(String(32), primary_key=True)
    mailing_id: Mapped[int]
    owner_id: Mapped[int]
    outcome: Mapped[Outcome] = mapped_column(enum_column(Outcome, "outcome"))
    code: Mapped[int | None]
    # The answer without what differs from letter to letter, such as addresses and queue ids.
    words: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(BigInteger, default=0)

    __table_args__ = (Index(None, "owner_id", "begins_at"), Index(None, "mailing_id", "begins_at"))


class RunDomain(Model):
    """How often a domain's letters of a run were not taken."""

    __tablename__ = "run_domains"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    domain: Mapped[str] = mapped_column(String(255), primary_key=True)
    failed: Mapped[int] = mapped_column(BigInteger, default=0)
    deferred: Mapped[int] = mapped_column(BigInteger, default=0)
    unknown: Mapped[int] = mapped_column(BigInteger, default=0)


class ReportDay(Model):
    """What the intervals and answers of a day add up to, of one mailing or of all of an owner's.

    A day is one of the owner's time zone. Its sums hold as long as none of its intervals is fresh, and
    each interval that is not fresh lies in the day of exactly one row for all mailings. Written by
    `skymailing.reports.rollup_queries` alone.
    """

    __tablename__ = "report_days"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # 0 stands for all of them together.
    mailing_id: Mapped[int]
    begins_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    planned: Mapped[int] = mapped_column(BigInteger)
    sent: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    unknown: Mapped[int] = mapped_column(BigInteger)
    expired: Mapped[int] = mapped_column(BigInteger)
    suppressed: Mapped[int] = mapped_column(BigInteger)
    cancelled: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(BigInteger)
    # As JSON: [seconds from a run's start, letters sent], and [code, words, attempts that failed].
    times: Mapped[str] = mapped_column(Text)
    reasons: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        UniqueConstraint("owner_id", "mailing_id", "begins_at"),
        # Which mailings are the largest is told by the index alone.
        Index("ix_report_days_planned", "owner_id", "begins_at", "mailing_id", "planned"),
    )
