"""Accounts."""

import secrets
from datetime import datetime
from enum import StrEnum

from flask_login import UserMixin
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.clock import utcnow
from skymailing.models.base import Model, Timestamps
from skymailing.models.types import UTCDateTime, enum_column


class Role(StrEnum):
    USER = "user"
    MANAGER = "manager"
    CONTENT = "content"
    ADMIN = "admin"


class User(UserMixin, Timestamps, Model):
    """A person who signs in; owns clients, messages and mailings."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    # Always in lower case, so that one address is one account.
    email: Mapped[str] = mapped_column(String(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(enum_column(Role, "role"), default=Role.USER)
    # The sender name of new mailings; empty means the part of the address before the @.
    name: Mapped[str] = mapped_column(String(200), default="")
    # Empty means: as the browser wishes.
    locale: Mapped[str] = mapped_column(String(10), default="")
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    blocked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    blocked_reason: Mapped[str] = mapped_column(String(500), default="")
    last_login_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The hour of day, on the user's clock, of a letter about what was sent in the day before; None
    # means that none is wanted.
    summary_hour: Mapped[int | None]
    next_summary_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    # Part of every session's identity: raising it signs the user out everywhere. It begins somewhere, as
    # after a restored backup an id may be given again, to somebody whom an old cookie shall not let in.
    session_epoch: Mapped[int] = mapped_column(default=lambda: secrets.randbelow(1_000_000_000))
    # Not a column: which of the user's sessions this is, so that one can end without the others.
    session_key = ""

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed_at is not None

    @property
    def is_blocked(self) -> bool:
        return self.blocked_at is not None

    @property
    def is_active(self) -> bool:
        """Whether Flask-Login may let the user in."""
        return self.is_confirmed and not self.is_blocked

    @property
    def sender_name(self) -> str:
        return self.name or self.email.partition("@")[0]

    def get_id(self) -> str:
        """Return the identity kept in session and remember cookie."""
        return f"{self.id}.{self.session_epoch}.{self.session_key}"


class EndedSession(Model):
    """A session that was signed out: a copy of its cookie opens nothing any more.

    Kept for good, as a remember cookie carries no date after which it would be refused anyway.
    """

    __tablename__ = "ended_sessions"

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
