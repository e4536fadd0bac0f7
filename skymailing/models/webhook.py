"""Models for webhooks: endpoints to which an owner's events are sent, the events, and the calls."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, Uuid, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.clock import utcnow
from skymailing.models.base import Model, Timestamps
from skymailing.models.types import BigId, JsonObject, UTCDateTime, enum_column

URL_MAX_LENGTH = 1000
RESPONSE_MAX_LENGTH = 200
IS_ENABLED = text("state = 'enabled'")
IS_PENDING = text("state = 'pending'")


class EventType(StrEnum):
    """The types of events; stored as plain text, so that a new type needs no migration."""

    CLIENT_CONFIRMED = "client.confirmed"
    CLIENT_UNSUBSCRIBED = "client.unsubscribed"
    CLIENT_RESUBSCRIBED = "client.resubscribed"  # after unsubscribing
    CLIENT_COMPLAINED = "client.complained"
    CLIENT_SUPPRESSED = "client.suppressed"
    BOUNCE_RECEIVED = "bounce.received"
    MAILING_STARTED = "mailing.started"
    MAILING_PAUSED = "mailing.paused"
    MAILING_FINISHED = "mailing.finished"
    RUN_FINISHED = "run.finished"
    TEST_DECIDED = "test.decided"
    SEQUENCE_ENTERED = "sequence.entered"
    SEQUENCE_FINISHED = "sequence.finished"
    SEQUENCE_LEFT = "sequence.left"
    CLICKS_COUNTED = "clicks.counted"
    LETTERS_CHANGED = "letters.changed"
    WEBHOOK_TEST = "webhook.test"  # sent at the owner's request, to one endpoint


# The types that an endpoint can choose.
OFFERED_TYPES = tuple(type_ for type_ in EventType if type_ is not EventType.WEBHOOK_TEST)


class EndpointState(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """The reason why an endpoint is disabled; stored as text."""

    OWNER = "owner"
    GONE = "gone"  # it responded with 410
    FAULTS = "faults"  # it has not accepted a call for days


class WebhookEndpoint(Timestamps, Model):
    """A URL to which an owner's events are sent."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(String(URL_MAX_LENGTH))
    events: Mapped[list[str]] = mapped_column(JsonObject)
    # The secret and the old one, encrypted with a key derived from SECRET_KEY. Calls are signed with both
    # until the old secret expires.
    encrypted_secret: Mapped[str] = mapped_column(Text)
    encrypted_old_secret: Mapped[str] = mapped_column(Text, default="", server_default="")
    old_secret_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    state: Mapped[EndpointState] = mapped_column(
        enum_column(EndpointState, "state"), default=EndpointState.ENABLED
    )
    disabled_reason: Mapped[str] = mapped_column(String(16), default="", server_default="")
    # Consecutive faults, the time of the first one, and when the next call may be tried.
    faults: Mapped[int] = mapped_column(default=0, server_default="0")
    faults_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    paused_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # For letters.changed: whether the endpoint gets it, and the last attempt that was put into a call.
    # Attempts up to `letters_until` are complete once all transactions before `letters_horizon` have ended.
    wants_letters: Mapped[bool] = mapped_column(default=False, server_default=false())
    letters_cursor: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    letters_until: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    letters_horizon: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # Incremented with every change by the owner.
    version: Mapped[int] = mapped_column(default=1, server_default="1")

    __table_args__ = (
        Index(None, "owner_id", "id"),
        Index(
            "ix_webhook_endpoints_enabled", "owner_id", postgresql_where=IS_ENABLED, sqlite_where=IS_ENABLED
        ),
        # Calls and logs refer to it, so the ID of a deleted endpoint is never reused.
        {"sqlite_autoincrement": True},
    )

    @property
    def is_enabled(self) -> bool:
        return self.state is EndpointState.ENABLED


class WebhookEvent(Model):
    """An event, stored in the same transaction as the change that it reports."""

    __tablename__ = "webhook_events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    # The header webhook-id: the same in all attempts, so that receivers can recognize repeated calls.
    uuid: Mapped[UUID] = mapped_column(Uuid, default=uuid4)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    type: Mapped[str] = mapped_column(String(32))
    # For letters.changed: the range of attempts, which are read when the call is sent.
    data: Mapped[dict[str, Any]] = mapped_column(JsonObject)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)


class CallState(StrEnum):
    PENDING = "pending"  # also while a worker sends it
    DELIVERED = "delivered"
    FAILED = "failed"  # no attempts are left


class WebhookCall(Model):
    """The call that reports an event to an endpoint; retried until the endpoint accepts it."""

    __tablename__ = "webhook_calls"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("webhook_events.id", ondelete="CASCADE"), index=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    state: Mapped[CallState] = mapped_column(enum_column(CallState, "state"), default=CallState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    # When the next attempt is due; while a worker is making one, when its lease ends.
    due_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The last response's code, or NULL if there was none, and the beginning of its text, or the fault.
    last_code: Mapped[int | None]
    last_response: Mapped[str] = mapped_column(String(RESPONSE_MAX_LENGTH), default="", server_default="")
    last_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    event: Mapped[WebhookEvent] = relationship()
    endpoint: Mapped[WebhookEndpoint] = relationship()

    __table_args__ = (
        Index(None, "endpoint_id", "id"),
        Index(
            "ix_webhook_calls_due",
            "endpoint_id",
            "due_at",
            postgresql_where=IS_PENDING,
            sqlite_where=IS_PENDING,
        ),
    )
