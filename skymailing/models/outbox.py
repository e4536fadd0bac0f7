"""Model for account letters waiting to be sent."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.clock import utcnow
from skymailing.models.base import Model
from skymailing.models.types import BigId, JsonObject, UTCDateTime, enum_column
from skymailing.models.user import User


class LetterState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class OutboxLetter(Model):
    """A letter from the service itself: confirmation, password reset, test letter.

    Created in the same transaction as its cause and rendered when it is sent, so that no token or
    link is ever stored.
    """

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    to: Mapped[str] = mapped_column(String(320))
    # The mail server of the letter's sender; NULL: the installation's. No foreign key, as in runs: IDs of
    # deleted servers are never reused.
    server_id: Mapped[int | None]
    # The name of a folder in templates/emails/.
    template: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, Any]] = mapped_column(JsonObject, default=dict)
    locale: Mapped[str] = mapped_column(String(10), default="en")
    state: Mapped[LetterState] = mapped_column(enum_column(LetterState, "state"), default=LetterState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_error: Mapped[str] = mapped_column(String(500), default="")
    # Of test letters only: an unsaved text (JSON) until it is sent, and the mail server's reply afterwards.
    content: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(String(500), default="", server_default="")

    user: Mapped[User] = relationship()

    __table_args__ = (
        Index(
            "ix_outbox_due",
            "due_at",
            postgresql_where=text("state IN ('pending', 'sending')"),
            sqlite_where=text("state IN ('pending', 'sending')"),
        ),
        # For the limit on such letters to one address.
        Index(
            "ix_outbox_confirm_sender",
            "to",
            "created_at",
            postgresql_where=text("template = 'confirm-sender'"),
            sqlite_where=text("template = 'confirm-sender'"),
        ),
        Index(
            "ix_outbox_confirm_reviewer",
            "to",
            "created_at",
            postgresql_where=text("template = 'confirm-reviewer'"),
            sqlite_where=text("template = 'confirm-reviewer'"),
        ),
    )
