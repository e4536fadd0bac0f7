"""Move the letters of a client who is merged into another one."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from skymailing.db.engine import is_one_of
from skymailing.delivery.ledger.deliveries import attach_clients, end_unsent
from skymailing.delivery.ledger.run_counts import Changes, run_keys
from skymailing.models import Audience, Client, Delivery, DeliveryState, Mailing, Run

# States that never change. Failed or unknown letters could be sent again to their old address, so they are
# detached from the removed client instead.
HISTORY = (DeliveryState.SENT, DeliveryState.SUPPRESSED, DeliveryState.EXPIRED, DeliveryState.CANCELLED)
MAY_ARRIVE = (DeliveryState.SENT, DeliveryState.SENDING, DeliveryState.UNKNOWN)
UNSENT = (DeliveryState.PENDING, DeliveryState.DEFERRED)
# A letter in one of these states can still be sent again.
REPEATABLE = (DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.SENDING)


@dataclass(slots=True)
class Moves:
    """IDs of deliveries: history that moves, letters that get another address, and letters to cancel.

    `detached` are letters of the kept client that must not be sent again.
    """

    history: list[int] = field(default_factory=list)
    readdressed: list[int] = field(default_factory=list)
    detached: list[int] = field(default_factory=list)
    ended: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))  # rows by run


def move_letters(
    connection: Connection, kept: Client, removed_id: int, now: datetime
) -> tuple[list[int], list[int]]:
    """Give the removed client's letters to the kept one, so that no run sends a letter to both.

    Return the data for `return_letters`. A letter not yet sent to the removed client is readdressed if the
    kept client has none in that run and the run excludes no one; otherwise, it is cancelled. If the removed
    client received a letter, or may have received it, the kept client's letter is cancelled, or detached so
    that it cannot be sent again.
    """
    columns = (Delivery.id, Delivery.run_id, Delivery.client_id, Delivery.state)
    rows = connection.execute(
        select(*columns, Delivery.unknowns, Delivery.attempts)
        .where(Delivery.client_id.in_([kept.id, removed_id]))
        .order_by(Delivery.id)  # as in late_results.py, so that the two cannot deadlock
        .with_for_update()
    ).all()
    moves = plan_moves(rows, kept.id, _find_runs_for_all(connection, {row.run_id for row in rows}))
    _set(connection, moves.detached, client_id=None)
    _set(connection, moves.history, client_id=kept.id)
    _set(connection, moves.readdressed, client_id=kept.id, email=kept.email, email_key=kept.email_key)
    for run in run_keys(connection, moves.ended):
        changes = Changes(run)
        end_unsent(connection, changes, moves.ended[run.id], DeliveryState.CANCELLED, now)
        changes.write(connection)
    return moves.history, moves.detached


def _find_runs_for_all(connection: Connection, run_ids: Collection[int]) -> set[int]:
    """Return the runs that excluded no client; the other runs may have excluded the kept client."""
    runs = select(Run.id, Run.audience, Mailing.audience).join(Mailing, Mailing.id == Run.mailing_id)
    runs = runs.where(Run.topic_id.is_(None))  # the kept client may have left the topic
    rows = connection.execute(runs.where(is_one_of(Run.id, "ids")), {"ids": list(run_ids)})
    # A run planned by an earlier version has no stored audience, so its mailing's audience counts.
    return {id for id, stored, current in rows if (stored or {}).get("audience", current) == Audience.ALL}


def plan_moves(rows: Sequence[Any], kept_id: int, for_all: Collection[int]) -> Moves:
    """Return the changes to both clients' letters; `for_all` are the runs that exclude no one."""
    kept_rows = {row.run_id: row for row in rows if row.client_id == kept_id}
    moves = Moves()
    for row in rows:
        if row.client_id == kept_id:
            continue
        rival = kept_rows.get(row.run_id)
        if rival is not None and (row.state in MAY_ARRIVE or row.unknowns):
            if rival.state in UNSENT:
                moves.ended[row.run_id].append(rival)
            elif rival.state in REPEATABLE:
                moves.detached.append(rival.id)
                rival = None
        if rival is None and row.state in HISTORY:
            moves.history.append(row.id)
        elif rival is None and is_untouched(row) and row.run_id in for_all:
            moves.readdressed.append(row.id)
    return moves


def is_untouched(row: Any) -> bool:
    return row.state is DeliveryState.PENDING and not (row.attempts or row.unknowns)


def return_letters(
    connection: Connection, letters: tuple[Sequence[int], Sequence[int]], kept_id: int, restored_id: int
) -> None:
    """Undo `move_letters`: return the letters in its result to the restored client and to the kept one."""
    history, detached = letters
    condition = is_one_of(Delivery.id, "ids") & (Delivery.client_id == kept_id)
    connection.execute(
        update(Delivery).where(condition).values(client_id=restored_id), {"ids": list(history)}
    )
    attach_clients(connection, dict.fromkeys(detached, kept_id))


def _set(connection: Connection, ids: Sequence[int], **values: object) -> None:
    if ids:
        connection.execute(
            update(Delivery).where(is_one_of(Delivery.id, "ids")).values(values), {"ids": list(ids)}
        )
