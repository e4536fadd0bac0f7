"""Load a run that may send, with the data to send it, in the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, select

from skymailing.delivery.daily_runs import expires_at
from skymailing.delivery.eligibility import RUN_HOURS, hours_of, is_open, may_send
from skymailing.delivery.lateness import waits_to_skip
from skymailing.delivery.ledger.run_counts import RunKey
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.delivery.retry import Policy
from skymailing.delivery.routing.servers import COLUMNS, ServerAccess
from skymailing.delivery.variants.contents import VariantContent, load_contents
from skymailing.delivery.variants.samples import is_testing
from skymailing.models import (
    CAUGHT_KINDS,
    LETTER_KINDS,
    NO_OWNER,
    OPEN_RUN_STATES,
    Mailing,
    MessageFormat,
    Run,
    SmtpServer,
    User,
)
from skymailing.quotas import letters
from skymailing.settings.engine import engine_settings

# The fields of OpenRun that are columns of the statement.
COPIED = (
    *("id", "uuid", "mailing_id", "owner_id", "subject", "format", "body", "language", "ends_at"),
    *("sender_name", "sender_address", "reply_to", "server_id", "topic_id"),
    *("has_signed_ids", "track_clicks", "track_opens", "is_testing", "winner"),
    "is_local_time",
    *("is_transactional", "is_caught", "file_bytes"),
)
FORMAT_COLUMNS = (User.attribute_types, User.date_order, User.locale)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """The data needed to send a run."""

    id: int
    uuid: UUID
    mailing_id: int
    owner_id: int
    subject: str
    format: MessageFormat
    body: str
    language: str
    sender_name: str
    sender_address: str  # empty: the service's address
    reply_to: str
    # The end of the time window or of the current sending hours, after which nothing may be sent.
    ends_at: datetime
    policy: Policy
    formats: ValueFormats
    has_signed_ids: bool
    track_clicks: bool
    track_opens: str  # OpenTracking
    server_id: int | None  # None: the installation's server
    server: ServerAccess | None  # None for the installation's server, or if the server has been deleted
    topic_id: int | None
    # The state of the A/B test, if there is one: whether only letters of the sample may be sent, and the
    # winner, which the other clients get.
    is_testing: bool
    winner: int | None
    is_transactional: bool  # letters have their own contents, and no clients
    is_local_time: bool  # letters and sending hours depend on each client's local time
    is_caught: bool  # letters are stored instead of sent
    file_bytes: int  # see `Run.file_bytes`
    variants: Mapping[int, VariantContent] = field(default_factory=dict)

    def content_of(self, variant: int | None) -> "OpenRun | VariantContent":
        """Return the text and the sender's name of a letter, which is in the sample if it has a `variant`."""
        return self.variants[variant or self.winner or 0] if self.variants else self

    @property
    def key(self) -> RunKey:
        return RunKey(self.id, self.mailing_id, self.counted_owner_id, self.policy.started_at)

    @property
    def counted_owner_id(self) -> int:
        """The owner in whose logs and reports the run's letters are counted."""
        return NO_OWNER if self.is_caught else self.owner_id


def load_open_run(connection: Connection, run_id: int, now: datetime) -> OpenRun | None:
    """Return the run if its mailing may send now and its owner has not reached a limit."""
    has_room = Mailing.kind.in_(CAUGHT_KINDS) | letters.has_room(now)
    statement = _select_run(run_id).where(Run.state.in_(OPEN_RUN_STATES), may_send(now), has_room)
    row = connection.execute(statement).one_or_none()
    if row is None or not is_open(row, now) or waits_to_skip(connection, row, now):
        return None
    run = _make_open_run(row)
    closes_at = None if run.is_local_time else run.policy.hours.find_closing_time(now)
    if row.test_ends_at is not None:
        run = replace(run, variants=load_contents(connection, run_id))
    if row.is_transactional:
        run = replace(run, ends_at=min(run.ends_at, expires_at(row.scheduled_for)))
    return run if closes_at is None else replace(run, ends_at=min(run.ends_at, closes_at))


def load_run(connection: Connection, run_id: int) -> OpenRun:
    """Return the run in any state, to record the results of attempts that have already started."""
    return _make_open_run(connection.execute(_select_run(run_id)).one())


def _select_run(run_id: int) -> Select[Any]:
    return (
        select(
            Run.__table__,
            Mailing.owner_id,
            Mailing.ends_at,
            Mailing.on_unknown,
            Mailing.on_late,
            *RUN_HOURS,
            *FORMAT_COLUMNS,
            *COLUMNS,
        )
        .add_columns(is_testing().label("is_testing"), Mailing.kind)
        .add_columns(Mailing.kind.in_(LETTER_KINDS).label("is_transactional"))
        .add_columns(Mailing.kind.in_(CAUGHT_KINDS).label("is_caught"))
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .outerjoin(SmtpServer, SmtpServer.id == Run.server_id)
        .where(Run.id == run_id)
    )


def _make_open_run(row: Any) -> OpenRun:
    return OpenRun(
        **{name: getattr(row, name) for name in COPIED},
        policy=Policy(row.started_at, hours_of(row), row.on_unknown, engine_settings()),
        formats=ValueFormats.read(row.attribute_types, row.date_order, row.locale, row.timezone),
        server=ServerAccess.of(row, row.server_id) if row.server_host is not None else None,
    )
