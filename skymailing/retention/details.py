"""Remove the details of runs that ended long ago: the recipients, attempts and text of the letters.

Their totals are kept in `run_intervals`, `run_answers` and `run_domains`. So a run's ledger still
balances, and no report changes.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, literal_column, select, update
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.delivery.run_files import remove_files
from skymailing.delivery.variants.results import keep_results
from skymailing.extensions import db
from skymailing.models import OPEN_RUN_STATES, Click, Delivery, Engagement, Mailing, Run
from skymailing.retention.batches import TimeBudget, remove_letters
from skymailing.tracking.locking import take_turn

RUNS_PER_QUERY = 100
# The same text as in the index: SQLite would not use it for "has_details = 1".
HAS_DETAILS: ColumnElement[bool] = literal_column("runs.has_details")


def remove_old_details(cutoff: datetime, now: datetime, budget: TimeBudget) -> None:
    """Remove the details of runs that ended before `cutoff`, oldest first, within the budget."""
    while not budget.is_used_up and (run_ids := _list_runs_with_details(cutoff)):
        for run_id in run_ids:
            if _mark_removed(run_id, cutoff, now):
                _remove(run_id, now, budget)
            if budget.is_used_up:
                return


def _list_runs_with_details(cutoff: datetime) -> list[int]:
    statement = (
        select(Run.id)
        .where(HAS_DETAILS, Run.finished_at < cutoff, Run.state.not_in(OPEN_RUN_STATES))
        .order_by(Run.finished_at)
        .limit(RUNS_PER_QUERY)
    )
    with Session(reading_engine()) as session:
        return list(session.scalars(statement))


def _mark_removed(run_id: int, cutoff: datetime, now: datetime) -> bool:
    """Mark a run's details as removed, so that its letters are not sent again; False if they must be kept.

    Locks the mailing, like every action that could reopen the run.
    """
    with Session(db.engine) as session, session.begin():
        mailing_id = select(Run.mailing_id).where(Run.id == run_id).scalar_subquery()
        session.execute(select(Mailing.id).where(Mailing.id == mailing_id).with_for_update())
        run = session.get(Run, run_id, populate_existing=True)
        if (
            run is None
            or run.state in OPEN_RUN_STATES
            or run.finished_at is None
            or run.finished_at >= cutoff
        ):
            return False
        if run.details_removed_at is None and run.test_ends_at is not None:
            keep_results(session, run_id)
        run.details_removed_at = run.details_removed_at or now
        run.body = ""
        remove_files(session, run_id)
    return True


def _remove(run_id: int, now: datetime, budget: TimeBudget) -> None:
    while not budget.is_used_up:
        letters, attempts = remove_letters(run_id)
        budget.record("deliveries", letters)
        budget.record("attempts", attempts)
        if not letters:
            _finish(run_id, now)
            return


def _finish(run_id: int, now: datetime) -> None:
    with Session(db.engine) as session, session.begin():
        # A fold that was being stored while the letters were removed may have added their clicks again.
        take_turn(session.connection(), now)
        for detail in (Click, Engagement):
            session.execute(delete(detail).where(detail.run_id == run_id))
        is_empty = ~exists().where(Delivery.run_id == run_id)
        session.execute(update(Run).where(Run.id == run_id, is_empty).values(has_details=False))
