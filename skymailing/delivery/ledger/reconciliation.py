"""Check a run's counts against its deliveries and attempts, and rebuild them if they differ."""

import logging

from sqlalchemy import Connection, delete, func, select, true, update

from skymailing import counters
from skymailing.delivery.ledger.run_counts import Changes, RunKey
from skymailing.models import (
    COUNTED_STATES,
    LATER_COUNTS,
    Attempt,
    Delivery,
    DeliveryState,
    Outcome,
    Run,
    RunAnswer,
    RunDomain,
    RunInterval,
)

logger = logging.getLogger(__name__)


def verify(connection: Connection, run: RunKey) -> bool:
    """Return whether the counts of a finished run match its rows; log and rebuild them if not."""
    stored, rows = _compare(connection, run)
    if stored == [rows.get(state, 0) for state in COUNTED_STATES]:
        return True
    logger.error("run %d has wrong counts: %s, but its deliveries are %s", run.id, stored, rows)
    counters.add({"miscounts": 1})
    recount(connection, run)
    return False


def _compare(connection: Connection, run: RunKey) -> tuple[list[int], dict[DeliveryState, int]]:
    """Return the stored counts and the number of rows by state.

    A single statement reads one consistent state: between two statements, a late result or a resend
    could change rows and counts.
    """
    sums = [
        func.coalesce(func.sum(RunInterval.__table__.c[state.value]), 0).label(f"stored_{state}")
        for state in COUNTED_STATES
    ]
    stored = select(*sums).where(RunInterval.run_id == run.id).subquery()
    by_state = (
        select(Delivery.state, func.count().label("count"))
        .where(Delivery.run_id == run.id)
        .group_by(Delivery.state)
        .subquery()
    )
    statement = select(*stored.c, by_state.c.state, by_state.c.count).outerjoin_from(stored, by_state, true())
    compared = connection.execute(statement).all()
    rows = {row[-2]: row[-1] for row in compared if row[-2] is not None}
    return [int(count) for count in compared[0][: len(COUNTED_STATES)]], rows


def recount(connection: Connection, run: RunKey) -> None:
    """Rebuild the run's counts from its rows; reads every row of the run."""
    if connection.dialect.name == "postgresql":
        # Concurrent changes wait and are added to the rebuilt counts, so none is counted twice.
        connection.exec_driver_sql("LOCK TABLE run_intervals IN SHARE ROW EXCLUSIVE MODE")
    # Intervals are set to zero, not deleted: deleting a row would not mark its day's sums as outdated.
    columns = RunInterval.__table__.columns
    zeros = {
        column.name: 0 for column in columns if column.default is not None and column.name not in LATER_COUNTS
    }
    connection.execute(update(RunInterval).where(RunInterval.run_id == run.id).values(zeros))
    for model in (RunAnswer, RunDomain):
        connection.execute(delete(model).where(model.run_id == run.id))
    changes = Changes(run)
    planned = connection.execute(select(Run.planned).where(Run.id == run.id)).scalar_one()
    changes.add("planned", planned, run.started_at)
    _count_deliveries(connection, changes)
    _count_attempts(connection, changes)
    changes.write(connection)


def _count_deliveries(connection: Connection, changes: Changes) -> None:
    is_last = (Attempt.delivery_id == Delivery.id) & (Attempt.number == Delivery.attempts)
    entered_at = func.coalesce(Delivery.finished_at, Attempt.at)
    statement = (
        select(Delivery.state, entered_at, func.count())
        .outerjoin(Attempt, is_last & (Delivery.state.in_([DeliveryState.UNKNOWN, DeliveryState.DEFERRED])))
        .where(Delivery.run_id == changes.run.id)
        .group_by(Delivery.state, entered_at)
    )
    for state, at, count in connection.execute(statement).tuples():
        changes.move(state, count, at or changes.run.started_at)


def _count_attempts(connection: Connection, changes: Changes) -> None:
    in_run = Attempt.run_id == changes.run.id
    for at, count in connection.execute(
        select(Attempt.at, func.count()).where(in_run).group_by(Attempt.at)
    ).tuples():
        changes.add("attempts", count, at)
    refusals = (
        select(Attempt.outcome, Attempt.code, Attempt.answer, Delivery.email, Attempt.at)
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .where(in_run, Attempt.outcome != Outcome.SENT)
    )
    for refusal in connection.execute(refusals).tuples():
        changes.add_refusal(*refusal)
