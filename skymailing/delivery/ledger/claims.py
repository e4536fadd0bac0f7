"""Taking deliveries to hand over: which runs may send now, and a lease on a window of theirs.

Each function works in the caller's transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Select, exists, literal_column, select, update

from skymailing.db.engine import is_one_of
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.ledger.statistics import Changes, RunKey
from skymailing.delivery.retry import Policy
from skymailing.models import (
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    MessageFormat,
    Run,
    RunState,
    Suppression,
    User,
)
from skymailing.settings.engine import engine_settings

# What `hours_of` needs of a mailing and its owner.
HOURS = (Mailing.weekdays, Mailing.opens_at, Mailing.closes_at, User.timezone)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """What sending needs to know of a run whose mailing may send now."""

    id: int
    uuid: UUID
    mailing_id: int
    owner_id: int
    subject: str
    format: MessageFormat
    body: str
    sender_name: str
    reply_to: str
    # When nothing more of it may leave: the end of the window, or of the present sending hours.
    ends_at: datetime
    policy: Policy

    @property
    def key(self) -> RunKey:
        return RunKey(self.id, self.mailing_id, self.owner_id, self.policy.started_at)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this worker may hand over now, with the values its letter is filled with."""

    id: int
    email: str
    email_key: str
    attempts: int
    unknowns: int
    full_name: str
    attributes: Mapping[str, Any]


class Choice(Protocol):
    """Says which pending deliveries of a run have their turn."""

    def pick(self, connection: Connection, limit: int) -> list[int]: ...

    def drop_claimed(self, connection: Connection) -> None: ...


def may_send(now: datetime) -> ColumnElement[bool]:
    """The condition, over Mailing and its owner, under which its hours alone say what may leave."""
    return (
        (Mailing.state == MailingState.RUNNING)
        & Mailing.disabled_at.is_(None)
        & (Mailing.ends_at > now)
        & User.blocked_at.is_(None)
    )


def hours_of(row: Any) -> SendingHours:
    """Return the sending hours that a row with the columns HOURS tells."""
    return SendingHours(row.weekdays, row.opens_at, row.closes_at, ZoneInfo(row.timezone))


def load_open_run(connection: Connection, run_id: int, now: datetime) -> OpenRun | None:
    """Return the run if its mailing may send now."""
    is_open = Run.state.in_([RunState.PLANNED, RunState.SENDING])
    row = connection.execute(_run_columns(run_id).where(is_open, may_send(now))).one_or_none()
    if row is None or not (hours := hours_of(row)).is_open(now):
        return None
    run, closes_at = _open_run(row), hours.closes_after(now)
    return run if closes_at is None else replace(run, ends_at=min(run.ends_at, closes_at))


def load_run(connection: Connection, run_id: int) -> OpenRun:
    """Return the run whatever its state, for recording what was already under way."""
    return _open_run(connection.execute(_run_columns(run_id)).one())


def _run_columns(run_id: int) -> Select[Any]:
    return (
        select(Run.__table__, Mailing.owner_id, Mailing.ends_at, Mailing.on_unknown, *HOURS)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(Run.id == run_id)
    )


def _open_run(row: Any) -> OpenRun:
    return OpenRun(
        id=row.id,
        uuid=row.uuid,
        mailing_id=row.mailing_id,
        owner_id=row.owner_id,
        subject=row.subject,
        format=row.format,
        body=row.body,
        sender_name=row.sender_name,
        reply_to=row.reply_to,
        ends_at=row.ends_at,
        policy=Policy(row.started_at, hours_of(row), row.on_unknown, engine_settings()),
    )


def claim(
    connection: Connection,
    run: OpenRun,
    token: str,
    lease_until: datetime,
    limit: int,
    now: datetime,
    choose: Choice | None = None,
) -> list[Claimed]:
    """Mark up to `limit` deliveries of the run as being sent by the holder of `token`.

    Whether the mailing may still send and who has unsubscribed is asked here, in the same
    transaction, so that a pause or an unsubscription holds from its commit on. Pending ones are taken
    in their order, unless there is a `choose`; those that are due again come first.
    """
    allowed = select(*HOURS).where(Mailing.id == run.mailing_id, User.id == Mailing.owner_id, may_send(now))
    row = connection.execute(allowed).one_or_none()
    if row is None or not hours_of(row).is_open(now):
        return []
    # Perhaps none of a whole window may be mailed any more; then the next one is looked at.
    changes = Changes(run.key)
    claimed: list[Any] = []
    while not claimed and (rows := _next_rows(connection, run, limit, now, choose)):
        suppressed = [row.id for row in rows if row.is_suppressed]
        gone = [row.id for row in rows if row.is_gone and not row.is_suppressed]
        claimed = [row for row in rows if not row.is_suppressed and not row.is_gone]
        ending = {"finished_at": now, "due_at": None}
        _set_state(connection, suppressed, {"state": DeliveryState.SUPPRESSED} | ending)
        _set_state(connection, gone, {"state": DeliveryState.CANCELLED} | ending)
        lease = {"lease_token": token, "lease_until": lease_until, "due_at": None}
        _set_state(connection, [row.id for row in claimed], {"state": DeliveryState.SENDING} | lease)
        changes.move(DeliveryState.SUPPRESSED, len(suppressed), now)
        changes.move(DeliveryState.CANCELLED, len(gone), now)
        changes.move(DeliveryState.DEFERRED, -sum(row.state is DeliveryState.DEFERRED for row in rows), now)
    changes.write(connection)
    return [_describe(row) for row in claimed]


def _next_rows(
    connection: Connection, run: OpenRun, limit: int, now: datetime, choose: Choice | None
) -> list[Any]:
    rows = _due_rows(connection, run, limit, now)
    if len(rows) < limit:
        rows += _pending_rows(connection, run, limit - len(rows), choose)
    return rows


def _due_rows(connection: Connection, run: OpenRun, limit: int, now: datetime) -> list[Any]:
    # A literal, not a parameter: so that both databases see that the index of those who wait fits. There
    # may be hundreds of thousands, and SQLite would go through them all to have them in another order.
    is_due = (Delivery.state == literal_column("'deferred'")) & (Delivery.due_at <= now)
    statement = _candidates(run, is_due).order_by(Delivery.due_at).limit(limit)
    return list(connection.execute(statement.with_hint(Delivery, "INDEXED BY ix_deliveries_retry", "sqlite")))


def _pending_rows(connection: Connection, run: OpenRun, limit: int, choose: Choice | None) -> list[Any]:
    is_pending = Delivery.state == DeliveryState.PENDING
    if choose is None:
        return _in_order(connection, run, is_pending, limit)
    # What is chosen may have been taken by others meanwhile.
    while ids := choose.pick(connection, limit):
        is_chosen = is_one_of(Delivery.id, "ids")
        if rows := _in_order(connection, run, is_pending & is_chosen, limit, {"ids": ids}):
            return rows
        choose.drop_claimed(connection)
    return []


def _describe(row: Any) -> Claimed:
    return Claimed(
        row.id, row.email, row.email_key, row.attempts, row.unknowns, row.full_name, row.attributes
    )


def _in_order(
    connection: Connection,
    run: OpenRun,
    condition: ColumnElement[bool],
    limit: int,
    values: Mapping[str, object] | None = None,
) -> list[Any]:
    statement = _candidates(run, condition).order_by(Delivery.id).limit(limit)
    return list(connection.execute(statement, values))


def _candidates(run: OpenRun, condition: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            Delivery.id,
            Delivery.state,
            Delivery.email,
            Delivery.email_key,
            Delivery.attempts,
            Delivery.unknowns,
            Client.full_name,
            Client.attributes,
            # Deleted while its letter was under way, which then came back.
            Client.id.is_(None).label("is_gone"),
            exists()
            .where(Suppression.owner_id == run.owner_id, Suppression.email_key == Delivery.email_key)
            .label("is_suppressed"),
        )
        .outerjoin(Client, Client.id == Delivery.client_id)
        .where(Delivery.run_id == run.id, condition)
        # SQLite has one writer, which this transaction already is; there the clause is left out.
        .with_for_update(of=Delivery, skip_locked=True)
    )


def _set_state(connection: Connection, ids: Sequence[int], values: dict[str, Any]) -> None:
    if ids:
        connection.execute(
            update(Delivery).where(is_one_of(Delivery.id, "ids")).values(values), {"ids": list(ids)}
        )
