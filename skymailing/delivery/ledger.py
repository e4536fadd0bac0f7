"""The statements that plan, record and close deliveries: bulk, no ORM objects.

Each function works in the caller's transaction.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    case,
    exists,
    func,
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

# RFC 3463: a permanent failure of the address itself, not of the mailbox's state or the letter.
DEAD_ADDRESS = re.compile(r"5\.1\.\d")
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
    counted_results = []
    for result in results:
        step = next_step(result, unknowns.get(result.letter.delivery_id, 0), run.policy, now)
        counted = result.verdict not in UNCOUNTED
        steps[step, counted, result.verdict is Verdict.UNKNOWN].append(result.letter.delivery_id)
        if counted:
            counted_results.append(result)
    for (step, counted, is_unknown), ids in steps.items():
        _move(connection, token, ids, step, counted, is_unknown, now)
    if counted_results:
        insert_attempts(connection, run, counted_results, route, now)
    dead = [
        result.letter.delivery_id
        for result in results
        if result.verdict is Verdict.FAILED and DEAD_ADDRESS.match(result.answer)
    ]
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
) -> None:
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
    if moved < len(ids) and step.state is DeliveryState.SENT:
        # The lease was believed dead and some rows assumed unknown; now it is known.
        assumed = Delivery.state.in_([DeliveryState.UNKNOWN, DeliveryState.DEFERRED])
        connection.execute(
            update(Delivery)
            .where(is_one_of(Delivery.id, "ids"), Delivery.lease_token == token, assumed)
            .values(state=DeliveryState.SENT, due_at=None, finished_at=now),
            {"ids": ids},
        )


def _suppress_dead(connection: Connection, owner_id: int, delivery_ids: list[int], now: datetime) -> None:
    keys = connection.execute(select(Delivery.email_key).where(Delivery.id.in_(delivery_ids))).scalars()
    connection.execute(
        insert_into(Suppression).on_conflict_do_nothing(),
        [
            {
                "owner_id": owner_id,
                "email_key": key,
                "reason": SuppressionReason.BOUNCED,
                "note": "",
                "created_at": now,
            }
            for key in keys
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


def count_states(connection: Connection, run_id: int) -> dict[DeliveryState, int]:
    """Return how many deliveries of the run are in each state, every state named."""
    counted = connection.execute(
        select(Delivery.state, func.count()).where(Delivery.run_id == run_id).group_by(Delivery.state)
    )
    return dict.fromkeys(DeliveryState, 0) | dict(counted.tuples().all())
