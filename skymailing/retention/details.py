"""The details of runs that ended long ago: who got a letter, every attempt, and the letter's text.

What they add up to stays, in `run_intervals`, `run_answers` and `run_domains`: so a run's ledger
closes as before, and no report changes.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, exists, literal_column, select, update
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.extensions import db
from skymailing.models import OPEN_RUN_STATES, Delivery, Mailing, Run
from skymailing.retention.batches import Allowance, remove_letters

RUNS_AT_A_TIME = 100
# In the index's own words: SQLite would not see that "has_details = 1" is the same.
HAS_DETAILS: ColumnElement[bool] = literal_column("runs.has_details")


def remove_old_details(before: datetime, now: datetime, allowance: Allowance) -> None:
    """Remove the details of runs that ended before a moment, the oldest first, while there is time."""
    while not allowance.is_used_up and (run_ids := _runs_with_details(before)):
        for run_id in run_ids:
            if _give_up(run_id, before, now):
                _remove(run_id, allowance)
            if allowance.is_used_up:
                return


def _runs_with_details(before: datetime) -> list[int]:
    statement = (
        select(Run.id)
        .where(HAS_DETAILS, Run.finished_at < before, Run.state.not_in(OPEN_RUN_STATES))
        .order_by(Run.finished_at)
        .limit(RUNS_AT_A_TIME)
    )
    with Session(reading_engine()) as session:
        return list(session.scalars(statement))


def _give_up(run_id: int, before: datetime, now: datetime) -> bool:
    """Note that the run's details go, from when on nothing of it is sent again; whether they may.

    The mailing is locked as by everybody who would take the run up again.
    """
    with Session(db.engine) as session, session.begin():
        mailing_id = select(Run.mailing_id).where(Run.id == run_id).scalar_subquery()
        session.execute(select(Mailing.id).where(Mailing.id == mailing_id).with_for_update())
        run = session.get(Run, run_id, populate_existing=True)
        if (
            run is None
            or run.state in OPEN_RUN_STATES
            or run.finished_at is None
            or run.finished_at >= before
        ):
            return False
        run.details_removed_at = run.details_removed_at or now
        run.body = ""
    return True


def _remove(run_id: int, allowance: Allowance) -> None:
    while not allowance.is_used_up:
        letters, attempts = remove_letters(run_id)
        allowance.note("deliveries", letters)
        allowance.note("attempts", attempts)
        if not letters:
            _finish(run_id)
            return


def _finish(run_id: int) -> None:
    with Session(db.engine) as session, session.begin():
        is_empty = ~exists().where(Delivery.run_id == run_id)
        session.execute(update(Run).where(Run.id == run_id, is_empty).values(has_details=False))
