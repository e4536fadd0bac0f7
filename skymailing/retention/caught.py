"""Remove the mailings and letters added with test keys a week after they ended."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, literal_column, select
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.extensions import db
from skymailing.models import Mailing, MailingKind, Run
from skymailing.retention.batches import TimeBudget, remove_letters

KEPT_TIME = timedelta(days=7)
AT_A_TIME = 100
# The same text as in the index: with parameters, SQLite would not use it.
IS_CAUGHT: ColumnElement[bool] = literal_column("mailings.kind IN ('caught', 'caught-letters')")


def remove_caught(now: datetime, budget: TimeBudget) -> None:
    """Remove old runs with all their data, and then mailings without a run."""
    cutoff = now - KEPT_TIME
    old_runs = (
        select(Run.id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(IS_CAUGHT, Run.finished_at < cutoff)
        .limit(AT_A_TIME)
    )
    old_mailings = (
        select(Mailing.id)
        .where(IS_CAUGHT, Mailing.kind == MailingKind.CAUGHT, Mailing.updated_at < cutoff)
        .where(~exists().where(Run.mailing_id == Mailing.id))
        .limit(AT_A_TIME)
    )
    with Session(reading_engine()) as session:
        run_ids = session.scalars(old_runs).all()
        mailing_ids = session.scalars(old_mailings).all()
    for run_id in run_ids:
        _remove_run(run_id, budget)
    if mailing_ids and not budget.is_used_up:
        with Session(db.engine) as session, session.begin():
            removed = session.connection().execute(delete(Mailing).where(Mailing.id.in_(mailing_ids)))
        budget.record("mailings", removed.rowcount)


def _remove_run(run_id: int, budget: TimeBudget) -> None:
    while not budget.is_used_up:
        letters, attempts = remove_letters(run_id)
        budget.record("deliveries", letters)
        budget.record("attempts", attempts)
        if not letters:
            with Session(db.engine) as session, session.begin():
                session.connection().execute(delete(Run).where(Run.id == run_id))
            return
