"""Models for returned letters, and for the bounces that they report."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model
from skymailing.models.types import BigId, UTCDateTime, enum_column


class ReturnedState(StrEnum):
    UNDERSTOOD = "understood"
    # Nothing to do: a warning about a delay, an automatic reply.
    IGNORED = "ignored"
    # A person has to decide.
    UNCLEAR = "unclear"


class ReturnedLetter(Model):
    """A letter sent to the address for returned mail, or a provider's event, stored as received."""

    __tablename__ = "returned_letters"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    # SHA-256 of the letter or event, or of the event's ID, to ignore duplicates.
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    # The way in which the letter arrived, such as "pipe", or the provider that sent the event.
    source: Mapped[str] = mapped_column(String(16))
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    raw: Mapped[bytes] = mapped_column(LargeBinary)  # the first 64 KB
    state: Mapped[ReturnedState] = mapped_column(enum_column(ReturnedState, "state"))
    # The user whose mailing it is about; NULL if unknown.
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)

    __table_args__ = (
        Index(
            "ix_returned_letters_unclear",
            "id",
            postgresql_where=text("state = 'unclear'"),
            sqlite_where=text("state = 'unclear'"),
        ),
    )


class BounceKind(StrEnum):
    HARD = "hard"
    SOFT = "soft"
    # The letter or its sender was rejected, which never counts against the client.
    POLICY = "policy"
    COMPLAINT = "complaint"


class Proof(StrEnum):
    """How a bounce was matched to its delivery."""

    # By a Message-ID or an unsubscribe link that we signed, or a provider's webhook reported it.
    SIGNED = "signed"
    # Only by the address; anyone could have forged the report, so a person decides.
    ADDRESS = "address"
    PERSON = "person"
    DISMISSED = "dismissed"


# Bounces that were matched in one of these ways are trusted.
TRUSTED_PROOFS = (Proof.SIGNED, Proof.PERSON)


class Bounce(Model):
    """A failure or complaint that was reported after the mail server had accepted the letter."""

    __tablename__ = "bounces"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int | None] = mapped_column(
        ForeignKey("deliveries.id", ondelete="SET NULL"), index=True
    )
    letter_id: Mapped[int | None] = mapped_column(
        ForeignKey("returned_letters.id", ondelete="SET NULL"), index=True
    )
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # Copied from the delivery, without foreign keys, as in attempts.
    run_id: Mapped[int | None]
    mailing_id: Mapped[int | None]
    email_key: Mapped[str] = mapped_column(String(320))
    kind: Mapped[BounceKind] = mapped_column(enum_column(BounceKind, "kind"))
    proof: Mapped[Proof] = mapped_column(
        enum_column(Proof, "proof"), default=Proof.ADDRESS, server_default=Proof.ADDRESS
    )
    # `Action` of RFC 3464 or `Feedback-Type` of RFC 5965.
    action: Mapped[str] = mapped_column(String(16), default="", server_default="")
    # The enhanced status code of RFC 3463, such as 5.1.1.
    status: Mapped[str] = mapped_column(String(16), default="")
    diagnostic: Mapped[str] = mapped_column(Text, default="")
    remote_mta: Mapped[str] = mapped_column(String(255), default="", server_default="")
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)

    __table_args__ = (
        # Servers may report the same failure repeatedly.
        Index("uq_bounces_delivery_id_kind", "delivery_id", "kind", unique=True),
        Index(None, "owner_id", "id"),
        Index(None, "owner_id", "email_key"),
    )
