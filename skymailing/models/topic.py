"""Models for topics, which people join and leave separately, and for opt-outs through links in letters."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, false, true
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.clock import utcnow
from skymailing.models.base import Model, Timestamps
from skymailing.models.types import BigId, JsonObject, UTCDateTime

TOPIC_MAX_LENGTH = 100
DESCRIPTION_MAX_LENGTH = 500
COMMENT_MAX_LENGTH = 500


class Topic(Timestamps, Model):
    """A subject of an owner's mailings that people can leave without unsubscribing from everything."""

    __tablename__ = "topics"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(TOPIC_MAX_LENGTH))
    # `name` in lowercase; decides whether two topics are the same.
    name_key: Mapped[str] = mapped_column(String(2 * TOPIC_MAX_LENGTH))
    description: Mapped[str] = mapped_column(String(DESCRIPTION_MAX_LENGTH), default="", server_default="")
    # The preference page offers a public topic to everyone, and others only to people who have joined or left
    # them.
    is_public: Mapped[bool] = mapped_column(default=True, server_default=true())
    # Mailings of an opt-in topic go only to people who have joined it; others, to everyone who has not left.
    is_opt_in: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The position on the preference page and in lists.
    position: Mapped[int] = mapped_column(default=0, server_default="0")

    __table_args__ = (
        UniqueConstraint("owner_id", "name_key"),
        # Runs, and links in letters, contain the ID, so the ID of a deleted topic is never reused.
        {"sqlite_autoincrement": True},
    )


class TopicChoice(Model):
    """A person's choice to join or leave a topic.

    Like a suppression, it is stored by address, so that it outlives the client and applies if the client is
    added again.
    """

    __tablename__ = "topic_choices"

    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"), primary_key=True)
    email_key: Mapped[str] = mapped_column(String(320), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    is_joined: Mapped[bool]
    # Whether the owner made the choice, and can therefore change it; only the person can change their own
    # choices.
    is_by_owner: Mapped[bool] = mapped_column(default=False, server_default=false())
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    __table_args__ = (Index(None, "owner_id", "email_key"), {"sqlite_with_rowid": False})


class OptOutReason(StrEnum):
    """The reasons that people give for unsubscribing; stored as text, so that new ones need no migration."""

    TOO_MANY = "too-many"
    NOT_INTERESTING = "not-interesting"
    NEVER_ASKED = "never-asked"
    OTHER = "other"


class OptOut(Model):
    """An opt-out, from a topic or from everything, through a link in a letter; can be undone for a day."""

    __tablename__ = "opt_outs"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email_key: Mapped[str] = mapped_column(String(320))
    # NULL means everything. No foreign key, because the reason is kept when the topic is deleted.
    topic_id: Mapped[int | None]
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    # The run whose results include the opt-out; NULL if no letter was found. No foreign key: the run may be
    # deleted.
    run_id: Mapped[int | None]
    # The state that an undo restores; see `clients.opt_outs`.
    before: Mapped[dict[str, Any]] = mapped_column(JsonObject, default=dict)
    undone_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # An OptOutReason and the person's own words, both optional.
    reason: Mapped[str] = mapped_column(String(32), default="", server_default="")
    comment: Mapped[str] = mapped_column(String(COMMENT_MAX_LENGTH), default="", server_default="")

    __table_args__ = (Index(None, "owner_id", "email_key"), Index(None, "owner_id", "at"))
