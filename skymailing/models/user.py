"""Model for user accounts."""

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
    """A person who signs in and owns clients, messages and mailings."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    # Always lowercase, so that each address has at most one account.
    email: Mapped[str] = mapped_column(String(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(enum_column(Role, "role"), default=Role.USER)
    # The sender name of new mailings; if empty, the part of the address before the @.
    name: Mapped[str] = mapped_column(String(200), default="")
    # If empty, the browser's language is used.
    locale: Mapped[str] = mapped_column(String(10), default="")
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    blocked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    blocked_reason: Mapped[str] = mapped_column(String(500), default="")
    last_login_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The hour of the daily summary letter in the user's time zone; NULL turns it off.
    summary_hour: Mapped[int | None]
    next_summary_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    # Part of every session's identity; incrementing it signs the user out everywhere. It starts at a random
    # number, because after a restore an ID may be reused, and old cookies must not work for the new account.
    session_epoch: Mapped[int] = mapped_column(default=lambda: secrets.randbelow(1_000_000_000))
    # When the account and its data will be deleted; until then, its owner can cancel.
    deletion_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # When the deletion began; it can no longer be cancelled.
    erasure_began_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Whether to send a letter when a new device signs in.
    wants_login_letters: Mapped[bool] = mapped_column(default=True, server_default=true())
    # The encrypted key for one-time codes, or empty; used once `second_factor_at` is set.
    totp_secret: Mapped[str] = mapped_column(String(255), default="", server_default="")
    second_factor_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The 30-second step of the last accepted code; codes of this and earlier steps are rejected.
    totp_last_step: Mapped[int] = mapped_column(default=0, server_default="0")
    # The steps of the home page's guide that the user skipped, and whether the user closed the guide.
    guide_skipped: Mapped[list[str]] = mapped_column(JsonObject, default=list, server_default="[]")
    guide_closed: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The types of clients' attributes (`AttributeType`) by name; unlisted attributes are text.
    attribute_types: Mapped[dict[str, str]] = mapped_column(JsonObject, default=dict, server_default="{}")
    # The columns of the client list (`clients.list_columns`); NULL for the default ones.
    client_columns: Mapped[list[str] | None] = mapped_column(JsonObject)
    # The saved views of the client list (`clients.saved_views`): each has a name and arguments of its URL.
    client_views: Mapped[list[dict[str, str]] | None] = mapped_column(JsonObject)
    # How dates such as 06/05/1980 are parsed: "dmy", "mdy", or empty (as in the time zone's country).
    date_order: Mapped[str] = mapped_column(String(3), default="", server_default="")
    # When a manager, an operator or an upgrade marked the account as trusted: the limits of new accounts do
    # not apply to it, even if its address was confirmed only recently.
    trusted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The key of the current session, so that a single session can be ended; not a column.
    session_key = ""

    __table_args__ = (
        Index(
            "ix_users_deletion_at",
            "deletion_at",
            postgresql_where=text("deletion_at IS NOT NULL"),
            sqlite_where=text("deletion_at IS NOT NULL"),
        ),
        # Links in letters contain the owner's ID, so the ID of a deleted account is never reused.
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
        """Whether Flask-Login may sign the user in."""
        return self.is_confirmed and not self.is_blocked

    @property
    def has_two_factor(self) -> bool:
        return self.second_factor_at is not None

    @property
    def sender_name(self) -> str:
        return self.name or self.email.partition("@")[0]

    def get_id(self) -> str:
        """Return the identity stored in the session cookie and the remember cookie."""
        return f"{self.id}.{self.session_epoch}.{self.session_key}"
