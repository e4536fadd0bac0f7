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
            # After a restore: the letter may have been sent since the backup was made.
            DeliveryState.UNKNOWN,
            DeliveryState.SUPPRESSED,
            DeliveryState.EXPIRED,
            DeliveryState.CANCELLED,
        },
        DeliveryState.SENDING: {
            # After a fault of the route, or if the attempt did not start.
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
            # A late result: the letter was assumed unknown and waited to be sent again, but had been
            # accepted.
            DeliveryState.SENT,
            DeliveryState.SUPPRESSED,
            DeliveryState.EXPIRED,
            DeliveryState.CANCELLED,
        },
        # The owner, the mailing's setting or a late result decides.
        DeliveryState.UNKNOWN: {DeliveryState.DEFERRED, DeliveryState.SENT, DeliveryState.FAILED},
        # The owner resends failed letters.
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
    """A run's letter to one client: a row of the ledger."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    # NULL once the client has been deleted; `email` keeps the history readable. There is no foreign key,
    # because PostgreSQL would lock and rewrite every client when a run is planned, which took half of the
    # planning time. Code that deletes clients calls `deliveries.detach_clients`; a delivery planned at the
    # same time refers to a missing client and is cancelled when it is claimed.
    client_id: Mapped[int | None] = mapped_column(BigId)
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(320))
    state: Mapped[DeliveryState] = mapped_column(
        enum_column(DeliveryState, "state"), default=DeliveryState.PENDING
    )
    # The number of attempts, without those that ended with a fault of the route.
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    # The number of attempts with an unknown result, to limit possible duplicates.
    unknowns: Mapped[int] = mapped_column(default=0, server_default="0")
    # When a deferred delivery is due again.
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The lease on a delivery that is being sent: the claim that holds it, and when it ends.
    lease_token: Mapped[str | None] = mapped_column(String(36))
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # For an unknown delivery: NULL until its owner decides to leave it unknown.
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The variant, if the delivery is in the sample of an A/B test. NULL for the rest, which get the winner.
    variant: Mapped[int | None] = mapped_column(SmallInteger)
    # In a run at local time, the earliest time at which the letter may be sent. NULL in other runs.
    not_before: Mapped[datetime | None] = mapped_column(UTCDateTime)

    run: Mapped[Run] = relationship()

    __table_args__ = (
        # Prevents a second letter to a client in a run, and finds a client's letters.
        Index(None, "client_id", "run_id", unique=True),
        # For counts by state and for claiming the next pending rows in order.
        Index(None, "run_id", "state", "id"),
        Index(
            "ix_deliveries_due",
            "due_at",
            postgresql_where=text("state = 'deferred'"),
            sqlite_where=text("state = 'deferred'"),
        ),
        # For claiming a run's due retries, even if many others are deferred.
        Index(
            "ix_deliveries_retry",
            "run_id",
            "due_at",
            postgresql_where=text("state = 'deferred'"),
            sqlite_where=text("state = 'deferred'"),
        ),
        # For counting possible duplicates, which are few, on each request.
        Index(
            "ix_deliveries_unknowns",
            "run_id",
            "state",
            postgresql_where=text("unknowns > 0"),
            sqlite_where=text("unknowns > 0"),
        ),
        # For claiming the sample of a test without reading the letters that wait for the winner. The state is
        # always the same, but SQLite prefers an index with more columns of the condition.
        Index(
            "ix_deliveries_sample",
            "run_id",
            "state",
            "id",
            postgresql_where=text("state = 'pending' AND variant IS NOT NULL"),
            sqlite_where=text("state = 'pending' AND variant IS NOT NULL"),
        ),
        # For claiming the letters that are due at local time, without reading the others.
        Index(
            "ix_deliveries_local",
            "run_id",
            "not_before",
            postgresql_where=text("state = 'pending' AND not_before IS NOT NULL"),
            sqlite_where=text("state = 'pending' AND not_before IS NOT NULL"),
        ),
        # For finding letters to an address without a client.
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
    # Copied from the delivery's run, so that logs need a single index. The foreign key of the delivery is
    # enough, and checking more of them would take PostgreSQL longer than inserting the row.
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
        # Prevents recording a result twice, for example from a journal.
        UniqueConstraint("delivery_id", "number"),
        Index(None, "run_id", "id"),
        Index(None, "mailing_id", "id"),
        Index(None, "owner_id", "id"),
        # For logs that are filtered by a rare outcome.
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
    """The state of a route's circuit breaker: letters are sent while it is closed."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class Route(Model):
    """What is known about a mail server. Its address and credentials are stored elsewhere."""

    __tablename__ = "routes"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[BreakerState] = mapped_column(
        enum_column(BreakerState, "state"), default=BreakerState.CLOSED
    )
    opened_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # While the breaker is open: when the next probe may be sent, and how long it stays open, in seconds.
    retry_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    open_seconds: Mapped[int] = mapped_column(default=0)
    faults_in_a_row: Mapped[int] = mapped_column(default=0)
    last_fault_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_fault: Mapped[str] = mapped_column(String(500), default="")
    # The owner of the letter that caused the last fault, or 0 for an account letter; NULL if there was none.
    blamed_owner_id: Mapped[int | None]
    # The letters per second that the server accepts, learned from its refusals; NULL if it has not asked us
    # to slow down. It grows after a refusal until the limit is assumed to be gone.
    pace: Mapped[float | None] = mapped_column(Float)
    pace_at_refusal: Mapped[float | None] = mapped_column(Float)
    pace_lowered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    pace_changed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # After a refusal: when the pause ends, the number of consecutive refusals, and the server's reply.
    paused_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    refusals_in_a_row: Mapped[int] = mapped_column(default=0, server_default="0")
    last_refusal: Mapped[str] = mapped_column(String(500), default="", server_default="")
    # When we stopped pipelining, because the server advertises it without supporting it.
    step_by_step_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Identifies the settings with which all this was learned; if they change, it is discarded.
    settings_digest: Mapped[str] = mapped_column(String(64), default="", server_default="")
    # When a test letter was last sent to ourselves, and its result; see models/probe.py.
    probe_sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    probe: Mapped[dict[str, Any]] = mapped_column(JsonObject, default=dict, server_default=text("'{}'"))
    # The value of MAIL_BOUNCE_ADDRESS with which a test letter kept its return path with a token; empty if
    # none has.
    bounce_address: Mapped[str] = mapped_column(String(320), default="", server_default="")


class OwnerPause(Model):
    """A pause of a user's letters on a route that accepts those of other users; see `delivery.routing`."""

    __tablename__ = "owner_pauses"

    route: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    until: Mapped[datetime] = mapped_column(UTCDateTime)  # after this time, one letter may be tried
    seconds: Mapped[int]  # the length of the pause; doubled whenever the letter is refused
    reply: Mapped[str] = mapped_column(String(500))
