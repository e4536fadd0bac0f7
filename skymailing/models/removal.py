"""Model for deleted objects that can still be restored."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.clock import utcnow
from skymailing.models.base import Model
from skymailing.models.types import BigId, JsonObject, UTCDateTime, enum_column


class RemovalKind(StrEnum):
    CLIENTS = "clients"
    MAILING = "mailing"
    TAG = "tag"
    SEGMENT = "segment"
    BULK = "bulk"  # an action on many clients
    MERGE = "merge"  # of two clients


class Removal(Model):
    """All data that one delete action removed, so that it can be restored."""

    __tablename__ = "removals"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[RemovalKind] = mapped_column(enum_column(RemovalKind, "kind"))
    content: Mapped[dict[str, Any]] = mapped_column(JsonObject)
    removed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow, index=True)
