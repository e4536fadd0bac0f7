"""Accounts."""

import secrets
from datetime import datetime
from enum import StrEnum

from flask_login import UserMixin
from sqlalchemy import Index, String, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model, Timestamps
from skymailing.models.types import JsonObject, UTCDateTime, enum_column


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
    # When the account is deleted with all that it owns; until then its owner can still keep it.
    deletion_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Since when that is under way, from which there is no way back.
    erasure_began_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Whether a letter tells of a sign-in on a device that was not seen before.
    wants_login_letters: Mapped[bool] = mapped_column(default=True, server_default=true())
    # The key of the codes, encrypted; empty without. It counts once `second_factor_at` is set.
    totp_secret: Mapped[str] = mapped_column(String(255), default="", server_default="")
    second_factor_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The 30 seconds of the last code that was taken: none of then or before is taken again.
    totp_last_step: Mapped[int] = mapped_column(default=0, server_default="0")
    # The first steps on the start page: which of them, by name, the user does not want, or the whole guide.
    guide_skipped: Mapped[list[str]] = mapped_column(JsonObject, default=list, server_default="[]")
    guide_closed: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Not a column: which of the user's sessions this is, so that one can end without the others.
    session_key = ""

    __table_args__ = (
        Index(
            "ix_users_deletion_at",
            "deletion_at",
            postgresql_where=text("deletion_at IS NOT NULL"),
            sqlite_where=text("deletion_at IS NOT NULL"),
        ),
        # Links in letters name their owner, who may be gone: nobody else ever gets that id.
        {"sqlite_autoincrement": True},
    )

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
    def has_two_factor(self) -> bool:
        return self.second_factor_at is not None

    @property
    def sender_name(self) -> str:
        return self.name or self.email.partition("@")[0]

    def get_id(self) -> str:
        """Return the identity kept in session and remember cookie."""
        return f"{self.id}.{self.session_epoch}.{self.session_key}"
