"""Correct the ledger after a restore: open deliveries may have been sent after the backup was made."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, literal, select, update

from skymailing.delivery.ledger import reconciliation
from skymailing.delivery.ledger.run_counts import run_keys
from skymailing.models import (
    DELIVERY_TRANSITIONS,
    OPEN_DELIVERY_STATES,
    OPEN_RUN_STATES,
    Attempt,
    Delivery,
    DeliveryState,
    Mailing,
    Outcome,
    Run,
)

ANSWER = "service restored from a backup of {made_at:%Y-%m-%d %H:%M} UTC; may have been sent after that"


def mark_open_unknown(connection: Connection, made_at: datetime, now: datetime) -> dict[int, int]:
    """Mark every open delivery unknown, for its owner to decide; return their number by mailing.

    Each gets an attempt with an unknown outcome in the log, since its actual log entry may be lost.
    """
    for state in OPEN_DELIVERY_STATES:
        DELIVERY_TRANSITIONS.check(state, DeliveryState.UNKNOWN)
    open_runs = connection.execute(select(Run.id, Run.mailing_id).where(Run.state.in_(OPEN_RUN_STATES))).all()
    found: dict[int, int] = {}
    for run in open_runs:
        _insert_unknown_attempts(connection, run.id, ANSWER.format(made_at=made_at), now)
        count = _mark_unknown(connection, run.id)
        found[run.mailing_id] = found.get(run.mailing_id, 0) + count
    for key in run_keys(connection, [run.id for run in open_runs]):
        reconciliation.recount(connection, key)
    return found


def _insert_unknown_attempts(connection: Connection, run_id: int, answer: str, now: datetime) -> None:
    columns = {
        "delivery_id": Delivery.id,
        "run_id": Delivery.run_id,
        "mailing_id": Run.mailing_id,
        "owner_id": Mailing.owner_id,
        "number": Delivery.attempts + 1,
        "at": bindparam("at", now, Attempt.__table__.c.at.type),
        "outcome": literal(Outcome.UNKNOWN.value),
        "answer": literal(answer),
        "route": literal(""),
    }
    attempts = (
        select(*columns.values())
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(Delivery.run_id == run_id, Delivery.state.in_(OPEN_DELIVERY_STATES))
    )
    connection.execute(insert(Attempt).from_select(list(columns), attempts, include_defaults=False))


def _mark_unknown(connection: Connection, run_id: int) -> int:
    # The lease token is kept, so that a result in a journal from that time can still be applied.
    statement = (
        update(Delivery)
        .where(Delivery.run_id == run_id, Delivery.state.in_(OPEN_DELIVERY_STATES))
        .values(
            state=DeliveryState.UNKNOWN,
            attempts=Delivery.attempts + 1,
            unknowns=Delivery.unknowns + 1,
            due_at=None,
            lease_until=None,
            finished_at=None,
        )
    )
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
