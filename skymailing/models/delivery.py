"""The ledger: deliveries and their attempts, and the routes that they take."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model
from skymailing.models.mailing import Run
from skymailing.models.types import BigId, Transitions, UTCDateTime, enum_column


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


# A run is finished only when none of its deliveries is in one of these.
OPEN_STATES = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DEFERRED)

DELIVERY_TRANSITIONS = Transitions(
    "delivery",
    {
        DeliveryState.PENDING: {
            DeliveryState.SENDING,
            # Brought back from a backup: it may have been sent after that was made.
            DeliveryState.UNKNOWN,
            DeliveryState.SUPPRESSED,
            DeliveryState.EXPIRED,
            DeliveryState.CANCELLED,
        },
        DeliveryState.SENDING: {
            # Back to pending: a fault of the route, or a claim that was never handed over.
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
            # A resend after an assumed unknown, and then word comes that the letter had been taken.
            DeliveryState.SENT,
            DeliveryState.SUPPRESSED,
            DeliveryState.EXPIRED,
            DeliveryState.CANCELLED,
        },
        # A person decides, or the mailing's policy: sent after all, or tried again.
        DeliveryState.UNKNOWN: {DeliveryState.DEFERRED, DeliveryState.SENT, DeliveryState.FAILED},
        # "Resend to failed", by the owner's hand.
        DeliveryState.FAILED: {DeliveryState.PENDING},
        DeliveryState.SENT: set(),
        DeliveryState.SUPPRESSED: set(),
        DeliveryState.EXPIRED: set(),
        DeliveryState.CANCELLED: set(),
    },
)


class Outcome(StrEnum):
    """How one attempt ended."""

    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Delivery(Model):
    """One client in one run: the ledger's row."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    # Empty once the client was deleted; the address below keeps the history readable. No foreign key:
    # it made PostgreSQL lock and rewrite each client when a run was planned, half of all the time that
    # took. Whoever deletes clients lets go of their deliveries (ledger.py); one that was planned
    # meanwhile names nobody and is cancelled when its turn comes.
    client_id: Mapped[int | None] = mapped_column(BigId)
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(320))
    state: Mapped[DeliveryState] = mapped_column(
        enum_column(DeliveryState, "state"), default=DeliveryState.PENDING
    )
    # Attempts that count against the client; a route's fault does not.
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    # How often it was unknown whether the server took the letter: bounds the letters it may have got.
    unknowns: Mapped[int] = mapped_column(default=0, server_default="0")
    # Deferred until then.
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Who holds a row that is being sent, and until when that is believed.
    lease_token: Mapped[str | None] = mapped_column(String(36))
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # An unknown without it waits for its owner's decision; one with it was left as it is.
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    run: Mapped[Run] = relationship()

    __table_args__ = (
        UniqueConstraint("run_id", "client_id"),
        # Counts by state, and the claim of the next pending rows in order.
        Index(None, "run_id", "state", "id"),
        Index(None, "client_id"),
        Index(
            "ix_deliveries_due",
            "due_at",
            postgresql_where=text("state = 'deferred'"),
            sqlite_where=text("state = 'deferred'"),
        ),
        # The claim of those of a run whose next try is due, of however many that wait.
        Index(
            "ix_deliveries_retry",
            "run_id",
            "due_at",
            postgresql_where=text("state = 'deferred'"),
            sqlite_where=text("state = 'deferred'"),
        ),
        Index(
            "ix_deliveries_lease",
            "lease_until",
            postgresql_where=text("state = 'sending'"),
            sqlite_where=text("state = 'sending'"),
        ),
        # Possible duplicates, which are few, are counted each time that somebody looks.
        Index(
            "ix_deliveries_unknowns",
            "run_id",
            "state",
            postgresql_where=text("unknowns > 0"),
            sqlite_where=text("unknowns > 0"),
        ),
    )


class Attempt(Model):
    """One try to hand a delivery to the mail server; never changed afterwards."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    # Repeated from the delivery's run, so that logs are read by one index. No foreign keys: the
    # delivery's keeps them true, and checking each cost PostgreSQL more than the rows themselves.
    run_id: Mapped[int]
    mailing_id: Mapped[int]
    owner_id: Mapped[int]
    number: Mapped[int]
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    outcome: Mapped[Outcome] = mapped_column(enum_column(Outcome, "outcome"))
    # The server's reply: its code and its own words; no code when it said nothing intelligible.
    code: Mapped[int | None]
    answer: Mapped[str] = mapped_column(Text, default="")
    route: Mapped[str] = mapped_column(String(64), default="")

    delivery: Mapped[Delivery] = relationship()

    __table_args__ = (
        # What a journal tells twice is recorded once.
        UniqueConstraint("delivery_id", "number"),
        Index(None, "run_id", "id"),
        Index(None, "mailing_id", "id"),
        Index(None, "owner_id", "id"),
    )


class BreakerState(StrEnum):
    """The state of a route's circuit breaker: closed = healthy, open = shut off."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class Route(Model):
    """What is known of one way out; its server and credentials come from the configuration."""

    __tablename__ = "routes"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[BreakerState] = mapped_column(
        enum_column(BreakerState, "state"), default=BreakerState.CLOSED
    )
    opened_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # While open: when a probe may be sent, and the length of this pause in seconds.
    retry_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    open_seconds: Mapped[int] = mapped_column(default=0)
    faults_in_a_row: Mapped[int] = mapped_column(default=0)
    last_fault_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_fault: Mapped[str] = mapped_column(String(500), default="")


class BounceKind(StrEnum):
    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"


class Bounce(Model):
    """A failure report that arrived after the server had accepted a letter."""

    __tablename__ = "bounces"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int | None] = mapped_column(
        ForeignKey("deliveries.id", ondelete="SET NULL"), index=True
    )
    email_key: Mapped[str] = mapped_column(String(320))
    kind: Mapped[BounceKind] = mapped_column(enum_column(BounceKind, "kind"))
    # The enhanced status code of RFC 3463, such as 5.1.1.
    status: Mapped[str] = mapped_column(String(16), default="")
    diagnostic: Mapped[str] = mapped_column(Text, default="")
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
