"""Models for A/B tests: the variants of a mailing, and their copies in a run.

Variant 1, "A", is the mailing itself; the other variants differ from it in some fields.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model
from skymailing.models.message import Message, MessageFormat
from skymailing.models.types import enum_column

MAX_VARIANTS = 4


class WinnerBy(StrEnum):
    """How the winner of a test is to be chosen."""

    CLICKS = "clicks"  # the variant whose links more clients of the sample follow
    OWNER = "owner"


class Decision(StrEnum):
    """How the winner of a test was chosen."""

    CLICKS = "clicks"
    NO_DIFFERENCE = "no-difference"  # by clicks, although the difference may be due to chance
    OWNER = "owner"


class MailingVariant(Model):
    """A variant other than A; for empty fields, the mailing's values apply."""

    __tablename__ = "mailing_variants"

    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subject: Mapped[str] = mapped_column(String(500), default="", server_default="")
    sender_name: Mapped[str] = mapped_column(String(200), default="", server_default="")
    # RESTRICT: a message that a variant uses cannot be deleted.
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="RESTRICT"), index=True)

    message: Mapped[Message | None] = relationship()

    __table_args__ = (CheckConstraint(f"number BETWEEN 2 AND {MAX_VARIANTS}", name="number"),)


class RunVariant(Model):
    """A variant of a run's letters, with a copy of its content from the start of the run."""

    __tablename__ = "run_variants"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subject: Mapped[str] = mapped_column(String(500))
    sender_name: Mapped[str] = mapped_column(String(200))
    format: Mapped[MessageFormat] = mapped_column(enum_column(MessageFormat, "format"))
    body: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(10), default="", server_default="")
    # How many letters of the sample were planned, were sent, and had a link that a person followed. Stored
    # when the run's details are removed; until then, pages count deliveries.
    planned: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    sent: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    clicked: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")

    __table_args__ = (CheckConstraint(f"number BETWEEN 1 AND {MAX_VARIANTS}", name="number"),)
