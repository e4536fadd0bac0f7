"""Model for owners' mail servers, and for those that operators offer to everyone."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model, Timestamps
from skymailing.models.types import UTCDateTime, enum_column

SERVER_NAME_MAX_LENGTH = 100
ROUTE_PREFIX = "server-"


class Security(StrEnum):
    """The encryption of sessions with the server."""

    STARTTLS = "starttls"
    TLS = "tls"  # from the first byte
    NONE = "none"  # only for operators' servers


class SmtpServer(Timestamps, Model):
    """A mail server that senders can use instead of the installation's."""

    __tablename__ = "smtp_servers"

    id: Mapped[int] = mapped_column(primary_key=True)
    # NULL if everyone may use the server.
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(SERVER_NAME_MAX_LENGTH))
    host: Mapped[str] = mapped_column(String(253))
    port: Mapped[int]
    security: Mapped[Security] = mapped_column(enum_column(Security, "security"))
    username: Mapped[str] = mapped_column(String(320), default="", server_default="")
    # Encrypted with a key derived from SECRET_KEY; empty if there is no password.
    encrypted_password: Mapped[str] = mapped_column(Text, default="", server_default="")
    # Limits for all workers combined; without a rate, letters are sent as fast as the server accepts them.
    rate_per_minute: Mapped[int | None]
    sessions: Mapped[int] = mapped_column(default=2, server_default="2")
    # When a test was requested, until a worker has run it; when it was run, its result and the server's
    # reply.
    test_requested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    tested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    has_passed: Mapped[bool] = mapped_column(default=False, server_default=false())
    test_answer: Mapped[str] = mapped_column(String(500), default="", server_default="")

    __table_args__ = (
        CheckConstraint("owner_id IS NULL OR security != 'none'", name="encrypted"),
        Index(
            "ix_smtp_servers_to_test",
            "test_requested_at",
            postgresql_where=text("test_requested_at IS NOT NULL"),
            sqlite_where=text("test_requested_at IS NOT NULL"),
        ),
        # Runs keep the ID without a foreign key, so the ID of a deleted server is never reused.
        {"sqlite_autoincrement": True},
    )

    @property
    def is_shared(self) -> bool:
        return self.owner_id is None

    @property
    def is_being_tested(self) -> bool:
        return self.test_requested_at is not None

    @property
    def route(self) -> str:
        """The name of the server's route, in the table `routes` and in attempts."""
        return f"{ROUTE_PREFIX}{self.id}"
