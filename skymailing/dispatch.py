"""Follow up on a change to a mailing: commit it, reschedule its start job, notify workers."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select

from skymailing import hints, queue, schedule
from skymailing.extensions import db
from skymailing.models import OPEN_RUN_STATES, Mailing, MailingState, Run


def commit_and_dispatch(mailing: Mailing, now: datetime) -> None:
    """Commit a service's changes, then pass the mailing to the scheduler and the workers."""
    mailing_id = mailing.id
    db.session.commit()
    dispatch_mailings([mailing_id], now)


def dispatch_owner_mailings(owner_id: int, now: datetime) -> None:
    """Dispatch all active mailings of a user, for example after unblocking; call after the commit."""
    is_active = Mailing.state.in_([MailingState.SCHEDULED, MailingState.RUNNING])
    statement = select(Mailing.id).where(Mailing.owner_id == owner_id, is_active)
    dispatch_mailings(db.session.scalars(statement).all(), now)


def dispatch_mailings(mailing_ids: Iterable[int], now: datetime) -> None:
    """Reschedule the mailings' start jobs and notify workers of work due now; call after the commit."""
    for mailing_id in mailing_ids:
        mailing = db.session.get(Mailing, mailing_id, populate_existing=True)
        if mailing is not None:
            _dispatch(mailing, now)


def _dispatch(mailing: Mailing, now: datetime) -> None:
    run_id = db.session.scalar(
        select(Run.id).where(Run.mailing_id == mailing.id, Run.state.in_(OPEN_RUN_STATES)).limit(1)
    )
    start = schedule.find_start(mailing)
    # No transaction stays open during the requests to Redis: on SQLite it would block every other writer.
    db.session.expunge(mailing)
    db.session.rollback()
    schedule.schedule_start(mailing.id, start)
    if mailing.is_disabled:
        return
    if start is not None and start <= now:
        queue.enqueue("start_mailing", mailing.id)
    # A cancelled mailing needs a worker, too, to close its remaining deliveries.
    if mailing.state in (MailingState.RUNNING, MailingState.CANCELLED) and run_id is not None:
        hints.hint_run(run_id)
