"""Telling scheduler and workers, after a commit, that a mailing may have become due."""

from datetime import datetime

from sqlalchemy import select

from skymailing import hints, queue, schedule
from skymailing.extensions import db
from skymailing.models import OPEN_RUN_STATES, Mailing, MailingState, Run


def announce_mailings_of(owner_id: int, now: datetime) -> None:
    """Do the same for all that an unblocked user has under way; call after the commit."""
    under_way = Mailing.state.in_([MailingState.SCHEDULED, MailingState.RUNNING])
    ids = db.session.scalars(select(Mailing.id).where(Mailing.owner_id == owner_id, under_way)).all()
    for mailing_id in ids:
        if (mailing := db.session.get(Mailing, mailing_id)) is not None:
            announce(mailing, now)


def announce(mailing: Mailing, now: datetime) -> None:
    """Move the mailing's start job and wake a worker when there is work at once; call after the commit.

    The mailing is read anew and then detached: no transaction stays open while Redis is asked,
    since on SQLite it would keep every other writer waiting.
    """
    db.session.refresh(mailing)
    run_id = db.session.scalar(
        select(Run.id).where(Run.mailing_id == mailing.id, Run.state.in_(OPEN_RUN_STATES)).limit(1)
    )
    db.session.expunge(mailing)
    db.session.rollback()
    schedule.schedule_start(mailing)
    if mailing.is_disabled:
        return
    if mailing.state is MailingState.SCHEDULED and mailing.next_run_at and mailing.next_run_at <= now:
        queue.enqueue("start_mailing", mailing.id)
    # A cancelled one as well: a worker closes its ledger.
    if mailing.state in (MailingState.RUNNING, MailingState.CANCELLED) and run_id is not None:
        hints.hint_run(run_id)
