"""The statements that plan, record and close deliveries: bulk, no ORM objects.

Each function works in the caller's transaction.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    case,
    exists,
    insert,
    select,
    update,
)

from skymailing.database import insert_into, is_one_of
from skymailing.delivery.attempts import insert_attempts
from skymailing.delivery.claims import OpenRun
from skymailing.delivery.retry import UNCOUNTED, Step, next_step
from skymailing.delivery.smtp import Result, Verdict
from skymailing.models import (
    OPEN_STATES,
    Audience,
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    Suppression,
    SuppressionReason,
    mailing_clients,
)

# RFC 3463 and 7505: the recipient's address itself is dead, not the mailbox full or the letter unwelcome.
DEAD_ADDRESS = re.compile(r"5\.1\.(1|2|3|6|10)\b")
NOTE_LENGTH = 500
# An unknown waits for a person's decision: whoever makes it sets the time at which it was settled.
SETTLED_STATES = [
    state for state in DeliveryState if state not in OPEN_STATES and state is not DeliveryState.UNKNOWN
]
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
    steps: dict[tuple[Step, bool, bool], list[int]] = defaultdict(list)
    counted_results: dict[int, Result] = {}
    for result in results:
        step = next_step(result, unknowns.get(result.letter.delivery_id, 0), run.policy, now)
        counted = result.verdict not in UNCOUNTED
        steps[step, counted, result.verdict is Verdict.UNKNOWN].append(result.letter.delivery_id)
        if counted:
            counted_results[result.letter.delivery_id] = result
    for (step, counted, is_unknown), ids in steps.items():
        for id, number in _move(connection, token, ids, step, counted, is_unknown, now).items():
            late = counted_results[id]
            counted_results[id] = replace(late, letter=replace(late.letter, number=number))
    if counted_results:
        insert_attempts(connection, run, list(counted_results.values()), route, now)
    dead = {
        id: result.answer
        for id, result in counted_results.items()
        if result.verdict is Verdict.FAILED and DEAD_ADDRESS.match(result.answer)
    }
    if dead:
        _suppress_dead(connection, run.owner_id, dead, now)


def _move(
    connection: Connection,
    token: str,
    ids: list[int],
    step: Step,
    counted: bool,
    is_unknown: bool,
    now: datetime,
) -> dict[int, int]:
    """Move the lease's rows; return the attempt numbers of those whose acceptance came late."""
    values: dict[str, Any] = {
        "state": step.state,
        "due_at": step.due_at,
        "lease_until": None,
        "finished_at": now if step.state in SETTLED_STATES else None,
    }
    if counted:
        values["attempts"] = Delivery.attempts + 1
    if is_unknown:
        values["unknowns"] = Delivery.unknowns + 1
    ours = (Delivery.lease_token == token) & (Delivery.state == DeliveryState.SENDING)
    moved = connection.execute(
        update(Delivery).where(is_one_of(Delivery.id, "ids"), ours).values(values), {"ids": ids}
    ).rowcount
    if moved == len(ids) or step.state is not DeliveryState.SENT:
        return {}
    # The lease was believed dead and some rows assumed unknown, which stands in the log. Now it is
    # known, which is one attempt more there.
    assumed = Delivery.state.in_([DeliveryState.UNKNOWN, DeliveryState.DEFERRED])
    late = connection.execute(
        update(Delivery)
        .where(is_one_of(Delivery.id, "ids"), Delivery.lease_token == token, assumed)
        .values(state=DeliveryState.SENT, due_at=None, finished_at=now, attempts=Delivery.attempts + 1)
        .returning(Delivery.id, Delivery.attempts),
        {"ids": ids},
    )
    return dict(late.tuples().all())


def _suppress_dead(connection: Connection, owner_id: int, answers: Mapping[int, str], now: datetime) -> None:
    keys = connection.execute(
        select(Delivery.id, Delivery.email_key).where(Delivery.id.in_(answers))
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


def insert_deliveries(connection: Connection, run_id: int, mailing: Mailing, now: datetime) -> int:
    """Plan one delivery for each client of the audience, in one statement; return how many.

    Suppressed addresses get their row too, so that the numbers add up for the owner.
    """
    suppressed = Suppression.id.is_not(None)
    clients = (
        select(
            bindparam("run_id", run_id).label("run_id"),
            Client.id,
            Client.email,
            Client.email_key,
            case((suppressed, DeliveryState.SUPPRESSED.value), else_=DeliveryState.PENDING.value),
            case((suppressed, now)),
        )
        .outerjoin(
            Suppression,
            (Suppression.owner_id == Client.owner_id) & (Suppression.email_key == Client.email_key),
        )
        .where(Client.owner_id == mailing.owner_id)
        .order_by(Client.id)
    )
    if mailing.audience is Audience.SELECTED:
        members = select(mailing_clients.c.client_id).where(mailing_clients.c.mailing_id == mailing.id)
        clients = clients.where(Client.id.in_(members))
    columns = ["run_id", "client_id", "email", "email_key", "state", "finished_at"]
    statement = insert(Delivery).from_select(columns, clients, include_defaults=False)
    # Without the option PostgreSQL's driver does not say how many rows there were.
    result = connection.execute(statement, execution_options={"preserve_rowcount": True})
    return result.rowcount


def close_waiting(connection: Connection, run_id: int, state: DeliveryState, now: datetime) -> int:
    """Move up to CLOSE_BATCH waiting deliveries of the run to a final `state`; return how many."""
    waiting = (
        select(Delivery.id)
        .where(
            Delivery.run_id == run_id,
            Delivery.state.in_([DeliveryState.PENDING, DeliveryState.DEFERRED]),
        )
        .limit(CLOSE_BATCH)
        .with_for_update(skip_locked=True)
    )
    result = connection.execute(
        update(Delivery).where(Delivery.id.in_(waiting)).values(state=state, due_at=None, finished_at=now)
    )
    return result.rowcount


def is_open(connection: Connection, run_id: int) -> bool:
    """Whether any delivery of the run is still pending, being sent or deferred."""
    return bool(
        connection.execute(
            select(exists().where(Delivery.run_id == run_id, Delivery.state.in_(OPEN_STATES)))
        ).scalar_one()
    )
