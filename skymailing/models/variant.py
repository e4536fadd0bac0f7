"""Models for A/B tests: the variants of a mailing, and those that a run has sent.

Variant 1, "A", is the mailing as it is; the other variants differ from it in some fields.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model
from skymailing.models.message import Message, MessageFormat
from skymailing.models.types import enum_column

MAX_VARIANTS = 4


class WinnerBy(StrEnum):
    """The ways to choose the winner of a test."""

    CLICKS = "clicks"  # the clients of the sample, by following links
    OWNER = "owner"


class Decision(StrEnum):
    """The way in which the winner of a test was chosen."""

    CLICKS = "clicks"
    NO_DIFFERENCE = "no-difference"  # by clicks, although the difference may be chance
    OWNER = "owner"


class MailingVariant(Model):
    """A variant of a mailing other than A; empty fields are those of the mailing."""

    __tablename__ = "mailing_variants"

    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subject: Mapped[str] = mapped_column(String(500), default="", server_default="")
    sender_name: Mapped[str] = mapped_column(String(200), default="", server_default="")
    # A message that a variant uses cannot be deleted.
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="RESTRICT"), index=True)

    message: Mapped[Message | None] = relationship()

    __table_args__ = (CheckConstraint(f"number BETWEEN 2 AND {MAX_VARIANTS}", name="number"),)


class RunVariant(Model):
    """A variant of a run's letters, with the content as it was when the run started."""

    __tablename__ = "run_variants"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subject: Mapped[str] = mapped_column(String(500))
    sender_name: Mapped[str] = mapped_column(String(200))
    format: Mapped[MessageFormat] = mapped_column(enum_column(MessageFormat, "format"))
    body: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(10), default="", server_default="")
    # The letters of the sample, those that were sent, and those in which a person followed a link. Counted
    # when the details of the run are removed; until then, the deliveries are counted.
    planned: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    sent: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    clicked: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")

    __table_args__ = (CheckConstraint(f"number BETWEEN 1 AND {MAX_VARIANTS}", name="number"),)
