"""Model for the addresses from which an owner sends mailings."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.smtp_server import SmtpServer
from skymailing.models.types import UTCDateTime
from skymailing.models.user import User

SENDER_NAME_MAX_LENGTH = 200


class Sender(Timestamps, Model):
    """A From address of an owner, with a name. Mailings can use it once it has been confirmed."""

    __tablename__ = "senders"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # If empty, the name in the owner's profile is used.
    name: Mapped[str] = mapped_column(String(SENDER_NAME_MAX_LENGTH), default="", server_default="")
    address: Mapped[str] = mapped_column(String(320))
    # `address` in lowercase; decides whether two addresses are the same.
    address_key: Mapped[str] = mapped_column(String(320))
    # Where replies go; if empty, to `address`.
    reply_to: Mapped[str] = mapped_column(String(320), default="", server_default="")
    # Preselected in new mailings; at most one per owner.
    is_default: Mapped[bool] = mapped_column(default=False, server_default=false())
    # When a person with access to this mailbox confirmed the address; NULL again if the address is changed.
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Whether the owner's verified domain confirmed the address, which ends when the verification is revoked.
    is_confirmed_by_domain: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The mail server for this sender's mailings; NULL for the installation's. No cascade, because a server
    # must not disappear from a sender unnoticed.
    server_id: Mapped[int | None] = mapped_column(ForeignKey("smtp_servers.id"), index=True)

    owner: Mapped[User] = relationship()
    server: Mapped[SmtpServer | None] = relationship()

    __table_args__ = (
        UniqueConstraint("owner_id", "address_key"),
        Index(
            "ix_senders_default",
            "owner_id",
            unique=True,
            postgresql_where=text("is_default"),
            sqlite_where=text("is_default"),
        ),
        # Links in letters contain the ID, so the ID of a deleted sender is never reused.
        {"sqlite_autoincrement": True},
    )

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed_at is not None
