"""Model for an owner's reputation with mail servers and clients."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model
from skymailing.models.types import UTCDateTime


class Reputation(Model):
    """The time since which an owner's bounces and complaints count, and whether they paused the mailings.

    The counts themselves are rows of `usage_hours`. An owner without problems has no row here.
    """

    __tablename__ = "reputations"

    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    # When the latest bounce or complaint that the sweep has not considered yet was counted.
    changed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # When the owner resumed mailings after a pause; only letters sent later count.
    counted_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The counts before that time, in the hour that contains `counted_since`.
    earlier_letters: Mapped[int] = mapped_column(default=0, server_default="0")
    earlier_bounces: Mapped[int] = mapped_column(default=0, server_default="0")
    earlier_complaints: Mapped[int] = mapped_column(default=0, server_default="0")
    # NULL once the owner has resumed one of the mailings.
    paused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # A StateReason with its detail, as stored in the mailings.
    pause_reason: Mapped[str] = mapped_column(String(100), default="", server_default="")
    # Whether the letter to the owner about the pause is still to be sent.
    is_notice_due: Mapped[bool] = mapped_column(default=False, server_default=false())

    __table_args__ = (
        Index(
            "ix_reputations_changed",
            "changed_at",
            postgresql_where=text("changed_at IS NOT NULL"),
            sqlite_where=text("changed_at IS NOT NULL"),
        ),
        Index(
            "ix_reputations_notice",
            "owner_id",
            postgresql_where=text("is_notice_due"),
            sqlite_where=text("is_notice_due"),
        ),
    )
