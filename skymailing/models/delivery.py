"""Models for the ledger of deliveries and their attempts, and for routes."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model
from skymailing.models.mailing import Run
from skymailing.models.types import BigId, JsonObject, Transitions, UTCDateTime, enum_column


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    DEFERRED = "deferred"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


# A run is finished once none of its deliveries is in one of these states.
OPEN_DELIVERY_STATES = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DEFERRED)

DELIVERY_TRANSITIONS = Transitions(
    "delivery",
    {
        DeliveryState.PENDING: {
            DeliveryState.SENDING,
            # Restored from a backup: the letter may have been sent after the backup was made.
            DeliveryState.UNKNOWN,
            DeliveryState.SUPPRESSED,
            DeliveryState.EXPIRED,
            DeliveryState.CANCELLED,
        },
        DeliveryState.SENDING: {
            # Back to pending: a fault of the route, or a claimed letter that was not started.
            DeliveryState.PENDING,
            DeliveryState.DEFERRED,
            DeliveryState.SENT,
            DeliveryState.FAILED,
            DeliveryState.UNKNOWN,
        },
        DeliveryState.DEFERRED: {
            DeliveryState.SENDING,
            DeliveryState.FAILED,
            DeliveryState.UNKNOWN,
            # A late result shows that the letter, assumed unknown and waiting to be sent again, was accepted.
            DeliveryState.SENT,
            DeliveryState.SUPPRESSED,
            DeliveryState.EXPIRED,
            DeliveryState.CANCELLED,
        },
        # The owner or the mailing's setting decides whether it counts as sent or is tried again.
        DeliveryState.UNKNOWN: {DeliveryState.DEFERRED, DeliveryState.SENT, DeliveryState.FAILED},
        # The owner resends to failed addresses.
        DeliveryState.FAILED: {DeliveryState.PENDING},
        DeliveryState.SENT: set(),
        DeliveryState.SUPPRESSED: set(),
        DeliveryState.EXPIRED: set(),
        DeliveryState.CANCELLED: set(),
    },
)


class Outcome(StrEnum):
    """The outcome of one attempt."""

    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Delivery(Model):
    """One client's letter in one run: a row of the ledger."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    # NULL once the client is deleted; the address below keeps the history readable. No foreign key:
    # with one, PostgreSQL locked and rewrote every client when a run was planned, which took half
    # of the planning time. Code that deletes clients calls `deliveries.detach_clients`; a delivery planned
    # at the same time refers to a missing client and is cancelled when it is claimed.
    client_id: Mapped[int | None] = mapped_column(BigId)
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(320))
    state: Mapped[DeliveryState] = mapped_column(
        enum_column(DeliveryState, "state"), default=DeliveryState.PENDING
    )
    # Attempts that count against the recipient; a fault of the route does not.
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    # How many times it was unknown whether the server had accepted the letter; limits possible duplicates.
    unknowns: Mapped[int] = mapped_column(default=0, server_default="0")
    # When a deferred delivery is tried again.
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The lease on a row that is being sent: which claim holds it, and until when.
    lease_token: Mapped[str | None] = mapped_column(String(36))
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # For an unknown delivery: NULL until its owner decides to leave it unknown.
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Its variant, if it is in the sample of the run's test. NULL for the rest, whose clients get the winner.
    variant: Mapped[int | None] = mapped_column(SmallInteger)
    # In a run at local time: the client's hour, before which the letter is not sent. NULL in other runs.
    not_before: Mapped[datetime | None] = mapped_column(UTCDateTime)

    run: Mapped[Run] = relationship()

    __table_args__ = (
        # No second letter for a client in a run; also for the letters of a client.
        Index(None, "client_id", "run_id", unique=True),
        # For counts by state and for claiming the next pending rows in order.
        Index(None, "run_id", "state", "id"),
        Index(
            "ix_deliveries_due",
            "due_at",
            postgresql_where=text("state = 'deferred'"),
            sqlite_where=text("state = 'deferred'"),
        ),
        # For claiming a run's due retries, no matter how many others are deferred.
        Index(
            "ix_deliveries_retry",
            "run_id",
            "due_at",
            postgresql_where=text("state = 'deferred'"),
            sqlite_where=text("state = 'deferred'"),
        ),
        # Possible duplicates are few and are counted on each request.
        Index(
            "ix_deliveries_unknowns",
            "run_id",
            "state",
            postgresql_where=text("unknowns > 0"),
            sqlite_where=text("unknowns > 0"),
        ),
        # For claiming the sample of a test, without reading the letters that wait for the winner. It includes
        # the state, although that is always the same: SQLite prefers the index with more columns in the
        # condition.
        Index(
            "ix_deliveries_sample",
            "run_id",
            "state",
            "id",
            postgresql_where=text("state = 'pending' AND variant IS NOT NULL"),
            sqlite_where=text("state = 'pending' AND variant IS NOT NULL"),
        ),
        # For claiming the letters whose clients' hour has come, without reading the others.
        Index(
            "ix_deliveries_local",
            "run_id",
            "not_before",
            postgresql_where=text("state = 'pending' AND not_before IS NOT NULL"),
            sqlite_where=text("state = 'pending' AND not_before IS NOT NULL"),
        ),
        # For finding the letters to an address that belongs to no client, or no longer does.
        Index(
            "ix_deliveries_detached",
            "email_key",
            postgresql_where=text("client_id IS NULL"),
            sqlite_where=text("client_id IS NULL"),
        ),
        # For the results of each variant.
        Index(
            "ix_deliveries_variant",
            "run_id",
            "variant",
            "state",
            postgresql_where=text("variant IS NOT NULL"),
            sqlite_where=text("variant IS NOT NULL"),
        ),
    )


class Attempt(Model):
    """One attempt to hand a delivery to the mail server; never changed afterwards."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    # Copied from the delivery's run, so that logs need a single index. No foreign keys: the one to the
    # delivery is enough, and checking a foreign key costs PostgreSQL more than inserting the row.
    run_id: Mapped[int]
    mailing_id: Mapped[int]
    owner_id: Mapped[int]
    number: Mapped[int]
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    outcome: Mapped[Outcome] = mapped_column(enum_column(Outcome, "outcome"))
    # The server's reply: code and text. NULL if there was no valid reply.
    code: Mapped[int | None]
    answer: Mapped[str] = mapped_column(Text, default="")
    route: Mapped[str] = mapped_column(String(64), default="")

    delivery: Mapped[Delivery] = relationship()

    __table_args__ = (
        # A result that a journal repeats is recorded once.
        UniqueConstraint("delivery_id", "number"),
        Index(None, "run_id", "id"),
        Index(None, "mailing_id", "id"),
        Index(None, "owner_id", "id"),
        # For logs of an outcome that few attempts have.
        *(
            Index(
                f"ix_attempts_not_sent_{scope}",
                f"{scope}_id",
                "outcome",
                "id",
                postgresql_where=text("outcome <> 'sent'"),
                sqlite_where=text("outcome <> 'sent'"),
            )
            for scope in ("owner", "mailing")
        ),
    )


class BreakerState(StrEnum):
    """The state of a route's circuit breaker: closed = healthy, open = shut off."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class Route(Model):
    """A mail server and what is known about it; its address and credentials are in the configuration."""

    __tablename__ = "routes"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[BreakerState] = mapped_column(
        enum_column(BreakerState, "state"), default=BreakerState.CLOSED
    )
    opened_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # While open: when the next probe may be sent, and how long the breaker stays open, in seconds.
    retry_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    open_seconds: Mapped[int] = mapped_column(default=0)
    faults_in_a_row: Mapped[int] = mapped_column(default=0)
    last_fault_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_fault: Mapped[str] = mapped_column(String(500), default="")
    # The owner whose letter got the last fault as its reply, 0 for account letters; NULL if there was no
    # letter.
    blamed_owner_id: Mapped[int | None]
    # The letters per second that the server accepts, as learned from its refusals; NULL if it has not
    # asked us to slow down. Grows from the rate at the last refusal until the limit is assumed to be gone.
    pace: Mapped[float | None] = mapped_column(Float)
    pace_at_refusal: Mapped[float | None] = mapped_column(Float)
    pace_lowered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    pace_changed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # After a refusal: when the pause ends, the number of consecutive refusals, and the server's reply.
    paused_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    refusals_in_a_row: Mapped[int] = mapped_column(default=0, server_default="0")
    last_refusal: Mapped[str] = mapped_column(String(500), default="", server_default="")
    # When pipelining was stopped: the server advertises PIPELINING but does not support it.
    step_by_step_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Identifies the settings with which all of this was learned; a change of settings discards it.
    settings_digest: Mapped[str] = mapped_column(String(64), default="", server_default="")
    # When a test letter was last sent to ourselves, and what it showed; see models/probe.py.
    probe_sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    probe: Mapped[dict[str, Any]] = mapped_column(JsonObject, default=dict, server_default=text("'{}'"))
    # The value of MAIL_BOUNCE_ADDRESS for which a test letter has shown that letters keep a return path with
    # a token; empty if none has.
    bounce_address: Mapped[str] = mapped_column(String(320), default="", server_default="")


class OwnerPause(Model):
    """A pause of one user's letters on a route that accepts other users' letters; see `delivery.routing`."""

    __tablename__ = "owner_pauses"

    route: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    until: Mapped[datetime] = mapped_column(UTCDateTime)  # after this, one letter may try the route
    seconds: Mapped[int]  # the length of the pause; doubles with every refused trial
    reply: Mapped[str] = mapped_column(String(500))
