"""Insert, close, reopen and cancel deliveries: bulk statements without ORM objects.

Each function works in the caller's transaction.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Update,
    bindparam,
    case,
    column,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import aliased

from skymailing.db.engine import is_one_of
from skymailing.delivery.ledger.run_counts import Changes, RunKey, find_unknown_since, run_keys
from skymailing.delivery.variants.samples import Sample
from skymailing.models import (
    DELIVERY_TRANSITIONS,
    OPEN_DELIVERY_STATES,
    Client,
    Delivery,
    DeliveryState,
    Suppression,
)

BATCH = 10_000  # rows per statement, so that other writers do not wait long


def insert_deliveries(
    connection: Connection,
    run: RunKey,
    recipients: Select[tuple[Client]],
    now: datetime,
    sample: Sample | None = None,
    not_before: Any = None,
) -> int:
    """Insert one delivery for each recipient, in one statement; return how many.

    Suppressed addresses get a row too, so that the counts add up. Recipients in the `sample` get a variant.
    `not_before` is an SQL expression for the time when their letters are due; None means at once.
    """
    columns = ["run_id", "client_id", "email", "email_key", "state", "finished_at"]
    chosen: dict[str, Any] = {"variant": sample.variant_of(Client.id)} if sample else {}
    chosen |= {} if not_before is None else {"not_before": not_before}
    suppressed = _count_suppressed(connection, run)  # in earlier batches
    clients = _select_rows(run, recipients, now, chosen)
    statement = insert(Delivery).from_select([*columns, *chosen], clients, include_defaults=False)
    # Without this option the PostgreSQL driver does not return the number of rows.
    result = connection.execute(statement, execution_options={"preserve_rowcount": True})
    changes = Changes(run)
    changes.add("planned", result.rowcount, now)
    changes.move(DeliveryState.SUPPRESSED, _count_suppressed(connection, run) - suppressed, now)
    changes.write(connection)
    return result.rowcount


def _count_suppressed(connection: Connection, run: RunKey) -> int:
    is_suppressed = (Delivery.run_id == run.id) & (Delivery.state == DeliveryState.SUPPRESSED)
    return connection.execute(select(func.count()).select_from(Delivery).where(is_suppressed)).scalar_one()


def _select_rows(
    run: RunKey, recipients: Select[tuple[Client]], now: datetime, chosen: Mapping[str, Any]
) -> Select[Any]:
    suppressed = Suppression.id.is_not(None)
    return (
        recipients.with_only_columns(
            bindparam("run_id", run.id).label("run_id"),
            Client.id,
            Client.email,
            Client.email_key,
            case((suppressed, DeliveryState.SUPPRESSED.value), else_=DeliveryState.PENDING.value),
            case((suppressed, now)),
            *chosen.values(),
        )
        .outerjoin_from(
            Client,
            Suppression,
            (Suppression.owner_id == Client.owner_id) & (Suppression.email_key == Client.email_key),
        )
        .order_by(Client.id)
    )


def close_waiting(
    connection: Connection,
    run: RunKey,
    state: DeliveryState,
    now: datetime,
    condition: ColumnElement[bool] | None = None,
) -> int:
    """Move up to BATCH pending or deferred deliveries of the run to a final `state`; return how many.

    With a `condition`, move only those that meet it.
    """
    waiting = connection.execute(
        select(Delivery.id, Delivery.state, Delivery.unknowns)
        .where(
            Delivery.run_id == run.id,
            Delivery.state.in_([DeliveryState.PENDING, DeliveryState.DEFERRED]),
            *(() if condition is None else (condition,)),
        )
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    changes = Changes(run)
    end_unsent(connection, changes, waiting, state, now)
    changes.write(connection)
    return len(waiting)


def end_unsent(
    connection: Connection, changes: Changes, rows: Sequence[Any], state: DeliveryState, now: datetime
) -> None:
    """Move pending or deferred deliveries to a final `state`, and count this in `changes`.

    A letter that was waiting to be sent again, although the server may have accepted it, becomes unknown
    instead: its client may have received it. The rows have the columns `id`, `state` and `unknowns`.
    """
    may_have_arrived = [row.id for row in rows if row.unknowns]
    never_sent = [row.id for row in rows if not row.unknowns]
    for ids, final in ((never_sent, state), (may_have_arrived, DeliveryState.UNKNOWN)):
        if ids:
            connection.execute(
                update(Delivery)
                .where(is_one_of(Delivery.id, "ids"))
                .values(state=final, due_at=None, finished_at=now),
                {"ids": ids},
            )
    changes.move(DeliveryState.DEFERRED, -sum(row.state is DeliveryState.DEFERRED for row in rows), now)
    changes.move(state, len(never_sent), now)
    since = find_unknown_since(connection, may_have_arrived) if may_have_arrived else {}
    for id in may_have_arrived:
        changes.move(DeliveryState.UNKNOWN, 1, since.get(id, now))


def reopen(
    connection: Connection, run: RunKey, condition: ColumnElement[bool], state: DeliveryState, now: datetime
) -> int:
    """Move failed or unknown deliveries back to an open `state`; return how many.

    Rows that another transaction has locked are skipped, because it is changing them, for example after a
    late result.
    """
    due_at = now if state is DeliveryState.DEFERRED else None
    batch = (
        select(Delivery.id, Delivery.state, Delivery.finished_at)
        .where(Delivery.run_id == run.id, condition)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    changes = Changes(run)
    count = 0
    while rows := connection.execute(batch).all():
        since = find_unknown_since(connection, [row.id for row in rows if row.state is DeliveryState.UNKNOWN])
        connection.execute(
            update(Delivery)
            .where(is_one_of(Delivery.id, "ids"))
            .values(state=state, due_at=due_at, finished_at=None),
            {"ids": [row.id for row in rows]},
        )
        for row in rows:
            changes.move(row.state, -1, since.get(row.id) or row.finished_at or now)
        count += len(rows)
    changes.move(state, count, now)
    changes.write(connection)
    return count


def detach_clients(connection: Connection, client_ids: Sequence[int], now: datetime) -> dict[int, list[int]]:
    """Cancel unsent deliveries to clients who are being deleted, and clear the reference to them.

    Return the IDs of the deliveries by client, for `attach_clients`.
    """
    _cancel_deliveries_to(connection, client_ids, now)
    is_to_them = Delivery.client_id.in_(client_ids)
    detached: dict[int, list[int]] = {}
    for client_id, id in connection.execute(select(Delivery.client_id, Delivery.id).where(is_to_them)):
        detached.setdefault(client_id, []).append(id)
    connection.execute(update(Delivery).where(is_to_them).values(client_id=None))
    return detached


def attach_clients(connection: Connection, clients: Mapping[int, int]) -> None:
    """Let detached deliveries refer to clients again; `clients` maps delivery IDs to client IDs.

    A delivery remains detached if its client has another one in the same run.
    """
    if not clients:
        return
    if connection.dialect.name == "sqlite":
        # One by one, found by ID: with a list of IDs, SQLite would compare each detached letter with the
        # whole list.
        letter, client = bindparam("letter", type_=BigInteger), bindparam("client", type_=BigInteger)
        rows = [{"letter": id, "client": client_id} for id, client_id in clients.items()]
        connection.execute(_attach(letter, client), rows)
        return
    numbers = postgresql.ARRAY(BigInteger)
    lists = (literal(list(clients), numbers), literal(list(clients.values()), numbers))
    columns = (column("letter", BigInteger), column("client", BigInteger))
    pairs = func.unnest(*lists).table_valued(*columns).render_derived(name="pairs")
    connection.execute(_attach(pairs.c.letter, pairs.c.client))


def _attach(letter: ColumnElement[int], client: ColumnElement[int]) -> Update:
    """Return the statement that lets a detached letter refer to a client without another one in its run."""
    other = aliased(Delivery)
    has_other = exists().where(other.run_id == Delivery.run_id, other.client_id == client)
    is_detached = (Delivery.id == letter) & Delivery.client_id.is_(None)
    return update(Delivery).where(is_detached, ~has_other).values(client_id=client)


def _cancel_deliveries_to(connection: Connection, client_ids: Sequence[int], now: datetime) -> None:
    rows = connection.execute(
        select(Delivery.id, Delivery.run_id, Delivery.state, Delivery.unknowns)
        .where(
            Delivery.client_id.in_(client_ids),
            Delivery.state.in_(DELIVERY_TRANSITIONS.sources(DeliveryState.CANCELLED)),
        )
        .order_by(Delivery.id)  # as in late_results.py, so that the two cannot deadlock
        .with_for_update()
    ).all()
    by_run: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        by_run[row.run_id].append(row)
    for run in run_keys(connection, by_run):
        changes = Changes(run)
        end_unsent(connection, changes, by_run[run.id], DeliveryState.CANCELLED, now)
        changes.write(connection)


def has_open_deliveries(connection: Connection, run_id: int) -> bool:
    """Return whether any delivery of the run is pending, being sent or deferred."""
    return bool(
        connection.execute(
            select(exists().where(Delivery.run_id == run_id, Delivery.state.in_(OPEN_DELIVERY_STATES)))
        ).scalar_one()
    )
