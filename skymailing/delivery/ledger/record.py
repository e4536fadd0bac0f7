"""The statements that plan, record and close deliveries: bulk, no ORM objects.

Each function works in the caller's transaction.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    exists,
    func,
    insert,
    select,
    update,
)

from skymailing.db.engine import insert_into, is_one_of
from skymailing.delivery.audience import recipients
from skymailing.delivery.ledger.attempts import find_series, insert_attempts
from skymailing.delivery.ledger.claims import OpenRun
from skymailing.delivery.ledger.late_results import settle_assumed
from skymailing.delivery.ledger.statistics import Changes, RunKey, run_keys, unknown_since
from skymailing.delivery.retry import OUTCOMES, UNCOUNTED, Step, as_logged, may_be_too_old, next_step
from skymailing.delivery.smtp.session import Result, Verdict
from skymailing.models import (
    DELIVERY_TRANSITIONS,
    OPEN_STATES,
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    Suppression,
    SuppressionReason,
)

# RFC 3463 and 7505: the recipient's address itself is dead, not the mailbox full or the letter unwelcome.
DEAD_ADDRESS = re.compile(r"5\.1\.(1|2|3|6|10)\b")
NOTE_LENGTH = 500
CLOSE_BATCH = 10_000  # rows closed in one statement, so that writers get their turn


def record(
    connection: Connection,
    run: OpenRun,
    token: str,
    results: Iterable[Result],
    unknowns: Mapping[int, int],
    route: str,
    now: datetime,
) -> None:
    """Write down how the letters of a lease ended: the deliveries' new states and the attempts.

    `unknowns` has each delivery's number of earlier unknowns. A result that comes after the lease
    was taken away still counts: it settles the unknown that the sweep had to assume.
    """
    groups: dict[tuple[Step, bool, bool], dict[int, Result]] = defaultdict(dict)
    results = list(results)
    series = find_series(
        connection, [result for result in results if may_be_too_old(result, run.policy, now)], now
    )
    # The same for all of a window, so that those which wait are one statement.
    luck = random.uniform(-1, 1)  # noqa: S311 - spreads load, guards nothing
    for result in results:
        id = result.letter.delivery_id
        step = next_step(result, unknowns.get(id, 0), run.policy, now, luck, series.get(id))
        counted = result.verdict not in UNCOUNTED
        groups[step, counted, result.verdict is Verdict.UNKNOWN][id] = result
    changes = Changes(run.key)
    tried: list[Result] = []
    for (step, counted, is_unknown), group in groups.items():
        moved = _move(connection, token, list(group), step, counted, is_unknown, now)
        changes.move(step.state, len(moved), now)
        if counted:
            tried += [as_logged(group[id], step) for id in moved]
        if len(moved) < len(group) and not is_unknown:
            late = [group[id] for id in group.keys() - set(moved)]
            tried += settle_assumed(connection, token, late, step, changes, now)
    if tried:
        insert_attempts(connection, run, tried, route, now)
        _count_attempts(changes, tried, now)
    dead = {
        result.letter.delivery_id: result.answer
        for result in tried
        if result.verdict is Verdict.FAILED and DEAD_ADDRESS.match(result.answer)
    }
    if dead:
        _suppress_dead(connection, run.owner_id, dead, now)
    changes.write(connection)


def _count_attempts(changes: Changes, tried: list[Result], now: datetime) -> None:
    changes.add("attempts", len(tried), now)
    for result in tried:
        if result.verdict is not Verdict.SENT:
            outcome = OUTCOMES[result.verdict]
            changes.add_refusal(outcome, result.code, result.answer, result.letter.recipient, now)


def _move(
    connection: Connection,
    token: str,
    ids: list[int],
    step: Step,
    counted: bool,
    is_unknown: bool,
    now: datetime,
) -> Sequence[int]:
    """Move those of the rows that the lease still holds; return which."""
    values = step.columns(now)
    if counted:
        values["attempts"] = Delivery.attempts + 1
    if is_unknown:
        values["unknowns"] = Delivery.unknowns + 1
    ours = (Delivery.lease_token == token) & (Delivery.state == DeliveryState.SENDING)
    return connection.scalars(
        update(Delivery).where(is_one_of(Delivery.id, "ids"), ours).values(values).returning(Delivery.id),
        {"ids": ids},
    ).all()


def _suppress_dead(connection: Connection, owner_id: int, answers: Mapping[int, str], now: datetime) -> None:
    # In order, so that two runs with the same dead addresses do not wait for each other.
    keys = connection.execute(
        select(Delivery.id, Delivery.email_key).where(Delivery.id.in_(answers)).order_by(Delivery.email_key)
    ).tuples()
    connection.execute(
        insert_into(Suppression).on_conflict_do_nothing(),
        [
            {
                "owner_id": owner_id,
                "email_key": key,
                "reason": SuppressionReason.BOUNCED,
                "note": answers[id][:NOTE_LENGTH],
                "created_at": now,
            }
            for id, key in keys
        ],
    )


def insert_deliveries(connection: Connection, run: RunKey, mailing: Mailing, now: datetime) -> int:
    """Plan one delivery for each client of the audience, in one statement; return how many.

    Suppressed addresses get their row too, so that the numbers add up for the owner.
    """
    suppressed = Suppression.id.is_not(None)
    clients = (
        recipients(mailing)
        .with_only_columns(
            bindparam("run_id", run.id).label("run_id"),
            Client.id,
            Client.email,
            Client.email_key,
            case((suppressed, DeliveryState.SUPPRESSED.value), else_=DeliveryState.PENDING.value),
            case((suppressed, now)),
        )
        .outerjoin_from(
            Client,
            Suppression,
            (Suppression.owner_id == Client.owner_id) & (Suppression.email_key == Client.email_key),
        )
        .order_by(Client.id)
    )
    columns = ["run_id", "client_id", "email", "email_key", "state", "finished_at"]
    statement = insert(Delivery).from_select(columns, clients, include_defaults=False)
    # Without the option PostgreSQL's driver does not say how many rows there were.
    result = connection.execute(statement, execution_options={"preserve_rowcount": True})
    changes = Changes(run)
    changes.add("planned", result.rowcount, now)
    is_suppressed = (Delivery.run_id == run.id) & (Delivery.state == DeliveryState.SUPPRESSED)
    count = connection.execute(select(func.count()).select_from(Delivery).where(is_suppressed)).scalar_one()
    changes.move(DeliveryState.SUPPRESSED, count, now)
    changes.write(connection)
    return result.rowcount


def close_waiting(connection: Connection, run: RunKey, state: DeliveryState, now: datetime) -> int:
    """Move up to CLOSE_BATCH waiting deliveries of the run to a final `state`; return how many."""
    waiting = connection.execute(
        select(Delivery.id, Delivery.state)
        .where(
            Delivery.run_id == run.id,
            Delivery.state.in_([DeliveryState.PENDING, DeliveryState.DEFERRED]),
        )
        .limit(CLOSE_BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    if not waiting:
        return 0
    connection.execute(
        update(Delivery)
        .where(is_one_of(Delivery.id, "ids"))
        .values(state=state, due_at=None, finished_at=now),
        {"ids": [row.id for row in waiting]},
    )
    changes = Changes(run)
    changes.move(DeliveryState.DEFERRED, -sum(row.state is DeliveryState.DEFERRED for row in waiting), now)
    changes.move(state, len(waiting), now)
    changes.write(connection)
    return len(waiting)


def take_up(
    connection: Connection, run: RunKey, condition: ColumnElement[bool], state: DeliveryState, now: datetime
) -> int:
    """Bring failed or unclear deliveries back to an open `state`; return how many.

    What another transaction holds is left out: it is being settled there, such as by word that a
    letter had been taken.
    """
    due_at = now if state is DeliveryState.DEFERRED else None
    batch = (
        select(Delivery.id, Delivery.state, Delivery.finished_at)
        .where(Delivery.run_id == run.id, condition)
        .limit(CLOSE_BATCH)
        .with_for_update(skip_locked=True)
    )
    changes = Changes(run)
    count = 0
    while rows := connection.execute(batch).all():
        since = unknown_since(connection, [row.id for row in rows if row.state is DeliveryState.UNKNOWN])
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


def let_go_of_clients(connection: Connection, client_ids: Sequence[int], now: datetime) -> None:
    """Cancel what has not left for clients who are being deleted, and forget whose deliveries they were."""
    _cancel_letters_to(connection, client_ids, now)
    theirs = Delivery.client_id.in_(client_ids)
    connection.execute(update(Delivery).where(theirs).values(client_id=None))


def _cancel_letters_to(connection: Connection, client_ids: Sequence[int], now: datetime) -> None:
    rows = connection.execute(
        select(Delivery.id, Delivery.run_id, Delivery.state)
        .where(
            Delivery.client_id.in_(client_ids),
            Delivery.state.in_(DELIVERY_TRANSITIONS.sources(DeliveryState.CANCELLED)),
        )
        .order_by(Delivery.id)  # as `late.py` does, so that neither waits for the other
        .with_for_update()
    ).all()
    if not rows:
        return
    connection.execute(
        update(Delivery)
        .where(Delivery.id.in_([row.id for row in rows]))
        .values(state=DeliveryState.CANCELLED, finished_at=now, due_at=None)
    )
    by_run: dict[int, list[DeliveryState]] = defaultdict(list)
    for row in rows:
        by_run[row.run_id].append(row.state)
    for run in run_keys(connection, by_run):
        changes = Changes(run)
        for old in by_run[run.id]:
            changes.move(old, -1, now)
        changes.move(DeliveryState.CANCELLED, len(by_run[run.id]), now)
        changes.write(connection)


def is_open(connection: Connection, run_id: int) -> bool:
    """Whether any delivery of the run is still pending, being sent or deferred."""
    return bool(
        connection.execute(
            select(exists().where(Delivery.run_id == run_id, Delivery.state.in_(OPEN_STATES)))
        ).scalar_one()
    )
