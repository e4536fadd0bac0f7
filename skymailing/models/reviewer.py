"""Model for the addresses that may get an owner's test letters."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.schema import UniqueConstraint

from skymailing.models.base import Model, Timestamps
from skymailing.models.types import UTCDateTime
from skymailing.models.user import User


class Reviewer(Timestamps, Model):
    """An address that may get an owner's test letters, once its reader has agreed."""

    __tablename__ = "reviewers"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    address: Mapped[str] = mapped_column(String(320))
    address_key: Mapped[str] = mapped_column(String(320))
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    owner: Mapped[User] = relationship()

    __table_args__ = (UniqueConstraint("owner_id", "address_key"),)
