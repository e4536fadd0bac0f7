"""Claim the deliveries to hand over next: lease a window of a run's deliveries.

Each function works in the caller's transaction. Unlike an import or an account letter
(`skymailing.db.leases`), a delivery is leased with a token, by which a worker's journal proves which
rows the worker held, even if the clock jumps.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    exists,
    false,
    literal_column,
    null,
    select,
    true,
    update,
)

from skymailing.db.engine import is_one_of
from skymailing.delivery.audience.memberships import gets_topic
from skymailing.delivery.eligibility import HOURS, hours_of, may_send
from skymailing.delivery.ledger import deliveries
from skymailing.delivery.ledger.open_runs import OpenRun
from skymailing.delivery.ledger.run_counts import Changes
from skymailing.delivery.local_runs import MAX_POSTPONED, is_due, postpone_closed
from skymailing.delivery.open_consents import allows_counting
from skymailing.delivery.variants.samples import IN_SAMPLE, IS_PENDING_IN_SAMPLE
from skymailing.models import (
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    OpenTracking,
    Run,
    Suppression,
    SuppressionReason,
    TransactionalLetter,
    User,
)
from skymailing.quotas import letters


class Claimed(NamedTuple):
    """A delivery that this worker may hand over, with the values that fill its letter."""

    id: int
    email: str
    email_key: str
    attempts: int
    unknowns: int
    full_name: str
    attributes: Mapping[str, Any]
    counts_opens: bool  # whether the letter may have the tracking image
    variant: int | None = None  # set in the sample of a test
    content_id: int | None = None  # of a transactional letter, whose attributes are its own values


class Choice(Protocol):
    """Chooses which pending deliveries of a run are next."""

    def pick(self, connection: Connection, limit: int) -> list[int]: ...

    def drop_claimed(self, connection: Connection) -> None: ...


def claim(  # noqa: PLR0913 - a lease, its limits, and the time
    connection: Connection,
    run: OpenRun,
    token: str,
    lease_until: datetime,
    limit: int,
    now: datetime,
    choice: Choice | None = None,
) -> list[Claimed]:
    """Mark up to `limit` deliveries of the run as being sent by the holder of `token`.

    The same transaction checks whether the mailing may still send and who has unsubscribed or left its topic,
    so that a pause or an unsubscription takes effect with its commit. Due retries come first; pending
    deliveries follow in order of ID, or as `choice` offers them. Deliveries remain unchanged if they exceed
    the owner's limits, or wait for a test's winner or their client's time. Without `choice`, a result below
    `limit` means that no others may be sent now, unless MAX_POSTPONED were postponed.
    """
    if not (row := _find_open(connection, run, now)):
        return []
    has_limits = not run.is_caught and bool(letters.list_limits_of(row.is_new))
    changes, claimed, is_over_limit, postponed = Changes(run.key), list[Any](), False, 0
    # Recipients who may no longer be mailed are replaced by the next ones.
    while (wanted := limit - len(claimed)) and not is_over_limit:
        if not (rows := _find_next_rows(connection, run, wanted, now, choice)):
            break
        found = _end_unmailable(connection, changes, rows, now)
        mailable = postpone_closed(connection, found, hours_of(row), now) if run.is_local_time else found
        postponed += len(found) - len(mailable)
        if has_limits:
            granted = letters.reserve(connection, run.owner_id, len(mailable), row.is_new, now)
            is_over_limit, mailable = granted < len(mailable), mailable[:granted]
        _lease(connection, [row.id for row in mailable], token, lease_until)
        claimed += mailable
        if (claimed and len(rows) < wanted) or postponed >= MAX_POSTPONED:
            break
    changes.move(DeliveryState.DEFERRED, -sum(row.state is DeliveryState.DEFERRED for row in claimed), now)
    if not run.is_caught and not has_limits:
        letters.count(connection, run.owner_id, len(claimed), now)  # last: it locks the owner's count
    changes.write(connection)
    return [_make_claimed(row) for row in claimed]


def _find_open(connection: Connection, run: OpenRun, now: datetime) -> Any:
    """Return the sending hours and whether the owner is new; None if the run may not send now.

    The hours of a run at local time are checked for each letter.
    """
    statement = select(*HOURS, letters.is_new_account(now).label("is_new")).where(
        Mailing.id == run.mailing_id, User.id == Mailing.owner_id, may_send(now)
    )
    row = connection.execute(statement).one_or_none()
    return row if row and (run.is_local_time or hours_of(row).is_open(now)) else None


def _end_unmailable(connection: Connection, changes: Changes, rows: list[Any], now: datetime) -> list[Any]:
    """End the deliveries to recipients who may no longer be mailed, and return the rest."""
    suppressed = [row for row in rows if row.is_suppressed]
    deleted = [row for row in rows if row.is_deleted and not row.is_suppressed]
    deliveries.end_unsent(connection, changes, suppressed, DeliveryState.SUPPRESSED, now)
    deliveries.end_unsent(connection, changes, deleted, DeliveryState.CANCELLED, now)
    return [row for row in rows if not row.is_suppressed and not row.is_deleted]


def _find_next_rows(
    connection: Connection, run: OpenRun, limit: int, now: datetime, choice: Choice | None
) -> list[Any]:
    rows = _find_due_rows(connection, run, limit, now)
    if len(rows) < limit:
        rows += _find_pending_rows(connection, run, limit - len(rows), now, choice)
    return rows


def _find_due_rows(connection: Connection, run: OpenRun, limit: int, now: datetime) -> list[Any]:
    # A literal instead of a parameter, so that both databases use the partial index.
    # Hundreds of thousands of deliveries may be deferred, and SQLite would read them all to sort them.
    is_due = (Delivery.state == literal_column("'deferred'")) & (Delivery.due_at <= now)
    if run.is_testing:
        is_due &= IN_SAMPLE
    statement = _select_candidates(run, is_due).order_by(Delivery.due_at).limit(limit)
    return list(connection.execute(statement.with_hint(Delivery, "INDEXED BY ix_deliveries_retry", "sqlite")))


def _find_pending_rows(
    connection: Connection, run: OpenRun, limit: int, now: datetime, choice: Choice | None
) -> list[Any]:
    is_pending = IS_PENDING_IN_SAMPLE if run.is_testing else Delivery.state == DeliveryState.PENDING
    if run.is_local_time:
        is_pending = is_due(now)
        if choice is None:
            return _find_local_rows(connection, run, is_pending, limit)
    if choice is None:
        return _find_rows_by_id(connection, run, is_pending, limit)
    # Other workers may have claimed the offered rows since.
    while ids := choice.pick(connection, limit):
        is_offered = is_one_of(Delivery.id, "ids")
        if rows := _find_rows_by_id(connection, run, is_pending & is_offered, limit, {"ids": ids}):
            return rows
        choice.drop_claimed(connection)
    return []


def _find_local_rows(
    connection: Connection, run: OpenRun, condition: ColumnElement[bool], limit: int
) -> list[Any]:
    # In the order of the index: in order of ID, the database would also read the letters that have to wait,
    # perhaps most of them.
    statement = _select_candidates(run, condition).order_by(Delivery.not_before).limit(limit)
    return list(connection.execute(statement.with_hint(Delivery, "INDEXED BY ix_deliveries_local", "sqlite")))


def _make_claimed(row: Any) -> Claimed:
    return Claimed(
        *(row.id, row.email, row.email_key, row.attempts, row.unknowns, row.full_name, row.attributes),
        bool(row.counts_opens),
        row.variant,
        row.content_id,
    )


def _find_rows_by_id(
    connection: Connection,
    run: OpenRun,
    condition: ColumnElement[bool],
    limit: int,
    values: Mapping[str, object] | None = None,
) -> list[Any]:
    statement = _select_candidates(run, condition).order_by(Delivery.id).limit(limit)
    if run.is_testing and not run.is_local_time and values is None:
        # SQLite might read all the letters that wait for the winner.
        statement = statement.with_hint(Delivery, "INDEXED BY ix_deliveries_sample", "sqlite")
    return list(connection.execute(statement, values))


def _select_candidates(run: OpenRun, condition: ColumnElement[bool]) -> Select[Any]:
    values = _select_letter_values() if run.is_transactional else _select_client_values()
    if run.is_local_time:
        values = values.add_columns(Client.timezone)
    return (
        values.add_columns(
            Delivery.id,
            Delivery.state,
            Delivery.email,
            Delivery.email_key,
            Delivery.attempts,
            Delivery.unknowns,
            Delivery.variant,
            _is_suppressed(run).label("is_suppressed"),
            _counts_opens(run).label("counts_opens"),
        )
        .where(Delivery.run_id == run.id, condition)
        # SQLAlchemy omits this on SQLite, where this transaction is the only writer.
        .with_for_update(of=Delivery, skip_locked=True)
    )


def _select_client_values() -> Select[Any]:
    """Select the values that fill a client's letter."""
    # A client may be deleted while the letter is being sent, and the delivery may then return to pending.
    is_deleted = Client.id.is_(None).label("is_deleted")
    values = select(Client.full_name, Client.attributes, is_deleted, null().label("content_id"))
    return values.select_from(Delivery).outerjoin(Client, Client.id == Delivery.client_id)


def _select_letter_values() -> Select[Any]:
    """Select the values that fill a transactional letter, whose recipient need not be a client."""
    letter = TransactionalLetter
    values = (letter.name.label("full_name"), letter.values.label("attributes"))
    is_deleted = letter.delivery_id.is_(None).label("is_deleted")
    statement = select(*values, is_deleted, letter.content_id).select_from(Delivery)
    return statement.outerjoin(letter, letter.delivery_id == Delivery.id)


def _is_suppressed(run: OpenRun) -> ColumnElement[bool]:
    """Return the condition that a delivery's address gets no letters, or none about the run's topic."""
    is_its_address = (Suppression.owner_id == run.owner_id) & (Suppression.email_key == Delivery.email_key)
    if run.is_transactional:
        is_its_address &= holds_letters()
    is_suppressed = exists().where(is_its_address)
    return (
        is_suppressed
        if run.topic_id is None
        else is_suppressed | ~gets_topic(run.topic_id, Delivery.email_key)
    )


def holds_letters() -> ColumnElement[bool]:
    """Return the condition that a suppression also applies to transactional letters.

    People who unsubscribe from mailings still get receipts for their purchases.
    """
    return Suppression.reason != SuppressionReason.UNSUBSCRIBED


def _counts_opens(run: OpenRun) -> ColumnElement[bool]:
    """Return the condition that a letter may have the tracking image."""
    if run.track_opens == OpenTracking.PERSON:
        return allows_counting(run.owner_id, Delivery.email_key)
    return true() if run.track_opens == OpenTracking.DAY else false()


def _lease(connection: Connection, ids: Sequence[int], token: str, until: datetime) -> None:
    if ids:
        values = {"lease_token": token, "lease_until": until, "due_at": None}
        connection.execute(
            update(Delivery)
            .where(is_one_of(Delivery.id, "ids"))
            .values(values | {"state": DeliveryState.SENDING}),
            {"ids": list(ids)},
        )


def confirm(connection: Connection, run: OpenRun, token: str, now: datetime) -> set[int]:
    """Return the deliveries of a lease that may still be handed over some time after the claim.

    The mailing may have been stopped, clients may have unsubscribed, and the lease may have run out.
    """
    is_ours = (Delivery.lease_token == token) & (Delivery.lease_until > now)
    statement = (
        select(Delivery.id)
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(Delivery.run_id == run.id, Delivery.state == DeliveryState.SENDING, is_ours)
        .where(may_send(now), ~_is_suppressed(run))
    )
    return set(connection.scalars(statement))
