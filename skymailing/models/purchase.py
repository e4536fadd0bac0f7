"""The model for purchases that owners' shops report, and the mailings that they are credited to."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model, Timestamps
from skymailing.models.types import BigId, UTCDateTime

HAS_BUYER = text("client_id IS NOT NULL")


class Purchase(Timestamps, Model):
    """An order in an owner's shop. If its amount is 0, it was refunded and is not counted."""

    __tablename__ = "purchases"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # The shop's own number of the order, by which a repeated report is recognized.
    order_number: Mapped[str] = mapped_column(String(100))
    # NULL once the client is deleted, or KEEP_RUN_DETAILS_DAYS are over; the amount is kept.
    client_id: Mapped[int | None] = mapped_column(ForeignKey("clients.id", ondelete="SET NULL"))
    # The letter that led to it, if any: see `purchases/crediting.py`.
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    mailing_id: Mapped[int | None] = mapped_column(ForeignKey("mailings.id", ondelete="SET NULL"))
    amount: Mapped[int] = mapped_column(BigInteger)  # in the currency's smallest unit, such as cents
    currency: Mapped[str] = mapped_column(String(3))  # ISO 4217
    purchased_at: Mapped[datetime] = mapped_column(UTCDateTime)  # in whole seconds

    __table_args__ = (
        UniqueConstraint("owner_id", "order_number"),
        # For the purchases of a client, and for segments.
        Index(None, "client_id", "purchased_at"),
        # The other indexes contain all columns for sums, so that the table is not read.
        Index(None, "run_id", "currency", "amount"),
        Index("ix_purchases_mailing", "mailing_id", "purchased_at", "currency", "amount"),
        Index("ix_purchases_period", "owner_id", "purchased_at", "mailing_id", "currency", "amount"),
        # For removing the clients of old purchases.
        Index("ix_purchases_buyer", "purchased_at", postgresql_where=HAS_BUYER, sqlite_where=HAS_BUYER),
    )
