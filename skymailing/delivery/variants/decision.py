"""Decide tests: choose the variant that the clients outside the sample get."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.delivery.run_events import report_decided
from skymailing.delivery.variants.results import choose_winner, count_results
from skymailing.delivery.variants.samples import IS_PENDING_IN_SAMPLE, is_testing
from skymailing.extensions import db
from skymailing.models import TESTED_STATES, Decision, Delivery, Mailing, MailingState, Run, WinnerBy

BATCH = 100  # tests per sweep; the next sweep is seconds away


def find_due_tests(now: datetime) -> list[int]:
    """Return the runs whose results are compared now."""
    due = (
        select(Run.id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(
            is_testing(),
            Run.test_ends_at <= now,
            Run.state.in_(TESTED_STATES),
            Run.winner_by == WinnerBy.CLICKS,
            Mailing.state != MailingState.CANCELLED,
            Mailing.ends_at > now,
        )
        .order_by(Run.test_ends_at)
        .limit(BATCH)
    )
    with reading_engine().connect() as connection:
        return list(connection.scalars(due))


def decide_test(run_id: int, now: datetime) -> bool:
    """Choose the winner of a due test by clicks; return whether this call has decided it.

    Safe to call at any time and concurrently: the mailing's row is locked, and a decision is final. If some
    letters of the sample have not been sent yet, the time for results begins again.
    """
    with Session(db.engine) as session, session.begin():
        mailing_id = select(Run.mailing_id).where(Run.id == run_id).scalar_subquery()
        mailing = session.scalar(select(Mailing).where(Mailing.id == mailing_id).with_for_update())
        run = session.get(Run, run_id, populate_existing=True)
        if mailing is None or run is None or not is_due(run, mailing, now):
            return False
        waiting = select(Delivery.id).where(Delivery.run_id == run_id, IS_PENDING_IN_SAMPLE).limit(1)
        if session.scalar(waiting) is not None:
            run.test_ends_at = now + timedelta(hours=run.test_hours or 0)
            return False
        winner, decision = choose_winner(count_results(session, run_id))
        set_winner(mailing, run, winner, decision, now)
        return True


def is_due(run: Run, mailing: Mailing, now: datetime) -> bool:
    """Return whether the results of a run are to be compared now."""
    is_open = run.state in TESTED_STATES and mailing.state is not MailingState.CANCELLED
    is_over = run.test_ends_at is not None and run.test_ends_at <= now < mailing.ends_at
    return is_open and is_over and run.is_testing and run.winner_by == WinnerBy.CLICKS


def set_winner(mailing: Mailing, run: Run, winner: int, decision: Decision, now: datetime) -> None:
    """Record a decision, after which the other letters may be sent; the mailing must be locked."""
    run.winner, run.decision, run.decided_at = winner, decision, now
    report_decided(mailing, run, now)
