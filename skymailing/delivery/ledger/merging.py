"""Move the letters of a client who turned out to be the same person as another one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from skymailing.db.engine import is_one_of
from skymailing.delivery.ledger.deliveries import end_unsent
from skymailing.delivery.ledger.statistics import Changes, run_keys
from skymailing.models import Client, Delivery, DeliveryState

# States that no one can leave. A failed or unknown letter can be sent again, to the address that it has: it
# is detached from the removed client, so that this cannot happen.
HISTORY = (DeliveryState.SENT, DeliveryState.SUPPRESSED, DeliveryState.EXPIRED, DeliveryState.CANCELLED)
MAY_ARRIVE = (DeliveryState.SENT, DeliveryState.SENDING, DeliveryState.UNKNOWN)
UNSENT = (DeliveryState.PENDING, DeliveryState.DEFERRED)


@dataclass(slots=True)
class Moves:
    """IDs of deliveries: history that moves, letters that get another address, and letters that end."""

    history: list[int] = field(default_factory=list)
    readdressed: list[int] = field(default_factory=list)
    ended: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))  # rows by run


def move_letters(connection: Connection, kept: Client, removed_id: int, now: datetime) -> list[int]:
    """Give the removed client's letters to the kept one; return the IDs of the past letters among them.

    No run sends both of them a letter: a letter that waits for the removed client is readdressed if the
    kept one has none in that run, otherwise it is left to be cancelled with its client; and one that waits
    for the kept client is cancelled if the other address has got it, or may have.
    """
    columns = (Delivery.id, Delivery.run_id, Delivery.client_id, Delivery.state)
    rows = connection.execute(
        select(*columns, Delivery.unknowns, Delivery.attempts)
        .where(Delivery.client_id.in_([kept.id, removed_id]))
        .order_by(Delivery.id)  # as in late_results.py, so that the two cannot deadlock
        .with_for_update()
    ).all()
    moves = decide(rows, kept.id)
    _set(connection, moves.history, client_id=kept.id)
    _set(connection, moves.readdressed, client_id=kept.id, email=kept.email, email_key=kept.email_key)
    for run in run_keys(connection, moves.ended):
        changes = Changes(run)
        end_unsent(connection, changes, moves.ended[run.id], DeliveryState.CANCELLED, now)
        changes.write(connection)
    return moves.history


def decide(rows: Sequence[Any], kept_id: int) -> Moves:
    """Return what happens to the letters of both clients."""
    own = {row.run_id: row for row in rows if row.client_id == kept_id}
    moves = Moves()
    for row in rows:
        if row.client_id == kept_id:
            continue
        rival = own.get(row.run_id)
        if rival is None and row.state in HISTORY:
            moves.history.append(row.id)
        elif rival is None and row.state is DeliveryState.PENDING and not (row.attempts or row.unknowns):
            moves.readdressed.append(row.id)
        elif rival is not None and rival.state in UNSENT and (row.state in MAY_ARRIVE or row.unknowns):
            moves.ended[row.run_id].append(rival)
    return moves


def return_letters(connection: Connection, ids: Sequence[int], kept_id: int, restored_id: int) -> None:
    """Give past letters back to a client who has been restored."""
    own = is_one_of(Delivery.id, "ids") & (Delivery.client_id == kept_id)
    connection.execute(update(Delivery).where(own).values(client_id=restored_id), {"ids": list(ids)})


def _set(connection: Connection, ids: Sequence[int], **values: object) -> None:
    if ids:
        connection.execute(
            update(Delivery).where(is_one_of(Delivery.id, "ids")).values(values), {"ids": list(ids)}
        )
