"""Model for clients who look like duplicates, but are different people."""

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Index, Table
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.clock import utcnow
from skymailing.models.base import Model
from skymailing.models.types import BigId, UTCDateTime


class DistinctGroup(Model):
    """Clients that the owner marked as different people.

    Deleted clients leave the group; a group with fewer than two clients has no effect.
    """

    __tablename__ = "distinct_groups"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    __table_args__ = (Index(None, "owner_id", "id"), {"sqlite_autoincrement": True})


distinct_clients = Table(
    "distinct_clients",
    Model.metadata,
    Column("group_id", ForeignKey("distinct_groups.id", ondelete="CASCADE"), primary_key=True),
    Column("client_id", ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "client_id"),
    sqlite_with_rowid=False,
)
