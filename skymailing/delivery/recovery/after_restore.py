"""The ledger after a restore: what was open when the backup was made may have been sent since."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, literal, select, update

from skymailing.delivery.ledger import reconciliation
from skymailing.delivery.ledger.statistics import run_keys
from skymailing.models import (
    DELIVERY_TRANSITIONS,
    OPEN_STATES,
    Attempt,
    Delivery,
    DeliveryState,
    Mailing,
    Outcome,
    Run,
    RunState,
)

ANSWER = "restored from a backup of {made_at:%Y-%m-%d %H:%M} UTC: it may have been sent after that"


def mark_open_unclear(connection: Connection, made_at: datetime, now: datetime) -> dict[int, int]:
    """Make every open delivery unclear, for its owner to decide; return how many there are by mailing.

    Each is an attempt of unknown outcome in the log, as what became of it stood in what was lost.
    """
    for state in OPEN_STATES:
        DELIVERY_TRANSITIONS.check(state, DeliveryState.UNKNOWN)
    open_runs = connection.execute(
        select(Run.id, Run.mailing_id).where(Run.state.in_([RunState.PLANNED, RunState.SENDING]))
    ).all()
    found: dict[int, int] = {}
    for run in open_runs:
        count = _mark(connection, run.id, ANSWER.format(made_at=made_at), now)
        found[run.mailing_id] = found.get(run.mailing_id, 0) + count
    for key in run_keys(connection, [run.id for run in open_runs]):
        reconciliation.recount(connection, key)
    return found


def _mark(connection: Connection, run_id: int, answer: str, now: datetime) -> int:
    is_open = (Delivery.run_id == run_id) & Delivery.state.in_(OPEN_STATES)
    attempts = (
        select(
            Delivery.id,
            Delivery.run_id,
            Run.mailing_id,
            Mailing.owner_id,
            Delivery.attempts + 1,
            bindparam("at", now, Attempt.__table__.c.at.type),
            literal(Outcome.UNKNOWN.value),
            literal(answer),
            literal(""),
        )
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(is_open)
    )
    columns = [
        "delivery_id",
        "run_id",
        "mailing_id",
        "owner_id",
        "number",
        "at",
        "outcome",
        "answer",
        "route",
    ]
    connection.execute(insert(Attempt).from_select(columns, attempts, include_defaults=False))
    # The lease's token stays: what a journal of that time still tells settles it.
    marked = (
        update(Delivery)
        .where(is_open)
        .values(
            state=DeliveryState.UNKNOWN,
            attempts=Delivery.attempts + 1,
            unknowns=Delivery.unknowns + 1,
            due_at=None,
            lease_until=None,
            finished_at=None,
        )
    )
    return connection.execute(marked, execution_options={"preserve_rowcount": True}).rowcount
