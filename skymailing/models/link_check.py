"""Model for checks of a letter's links."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model
from skymailing.models.types import JsonObject, UTCDateTime


class LinkOutcome(StrEnum):
    """The result of opening a link; stored in `LinkCheck.links`."""

    OK = "ok"
    MOVED = "moved"  # permanently redirected to another address, which opens
    NOT_FOUND = "not-found"
    REFUSED = "refused"  # for programs; people may be able to open it
    SERVER_ERROR = "server-error"
    NO_ANSWER = "no-answer"
    NOT_ALLOWED = "not-allowed"  # the address does not belong to the public internet
    NOT_CHECKED = "not-checked"  # the time limit for the check was reached


# The outcomes of links that recipients probably cannot open.
BROKEN = frozenset(
    {LinkOutcome.NOT_FOUND, LinkOutcome.SERVER_ERROR, LinkOutcome.NO_ANSWER, LinkOutcome.NOT_ALLOWED}
)


class LinkCheck(Model):
    """A check, performed by a worker, of the links in a saved or unsaved message."""

    __tablename__ = "link_checks"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # The message, and the version whose text was checked; NULL for an unsaved text.
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    version: Mapped[int | None]
    # For each link: its `url`; after the check also its `outcome`, `status` and, if it has moved, `location`.
    links: Mapped[list[dict[str, Any]]] = mapped_column(JsonObject)
    skipped: Mapped[int] = mapped_column(default=0)  # links with personal values, and those beyond the limit
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (Index(None, "owner_id", "id"),)

    @property
    def broken(self) -> list[dict[str, Any]]:
        """The links that recipients probably cannot open."""
        return [link for link in self.links if link.get("outcome") in BROKEN]
