"""Plan large runs in batches on SQLite, where one transaction would keep other writers waiting for seconds.

The run is visible and may be sent after the first batch, and is not finished before the last. On PostgreSQL,
a run is planned in one transaction, because that blocks no other writers.
"""

import time
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, literal_column, select
from sqlalchemy.orm import Session, scoped_session

from skymailing.db.engine import let_others_write, reading_engine
from skymailing.db.text_search import is_sqlite
from skymailing.delivery.audience.parts import lock_parts
from skymailing.delivery.audience.recipients import Recipients, find_recipients
from skymailing.delivery.ledger import deliveries
from skymailing.delivery.ledger.run_counts import RunKey
from skymailing.delivery.run_events import report_paused, report_started
from skymailing.extensions import db
from skymailing.models import (
    MAILING_TRANSITIONS,
    OPEN_RUN_STATES,
    Client,
    Mailing,
    MailingState,
    Run,
    StateReason,
)

BATCH = 15_000  # clients: a tenth of a second on an idle machine
# The same text as in the index; otherwise SQLite would not use the index.
IS_UNPLANNED: ColumnElement[bool] = literal_column("runs.plan_after IS NOT NULL")


def begin(session: Session, run: Run, recipients: Recipients) -> Select[tuple[Client]]:
    """Return the recipients whose letters are planned at once; record in the run if others are left."""
    is_simple = run.test_ends_at is None and not run.is_local_time and not recipients.mailing.is_caught
    if not is_simple or not is_sqlite():
        return recipients.clients
    owner_id = recipients.mailing.owner_id
    last = session.scalar(select(func.max(Client.id)).where(Client.owner_id == owner_id)) or 0
    end = _find_end(session, owner_id, 0, last)
    if end is None or end == last:
        return recipients.clients
    run.plan_after, run.plan_until = end, last
    return recipients.clients.where(Client.id <= end)


def plan_rest(run_id: int, now: datetime) -> None:
    """Plan the other letters of a run, and give other writers a turn after each batch."""
    start = time.monotonic()
    while _plan_batch(run_id, now):
        # Waiting writers retry every few milliseconds at first, so this pause is long enough.
        let_others_write((time.monotonic() - start) / 3)
        start = time.monotonic()


def finish_interrupted(now: datetime) -> None:
    """Plan the rest of runs whose planning was interrupted."""
    with Session(reading_engine()) as session:
        run_ids = session.scalars(select(Run.id).where(IS_UNPLANNED)).all()
    for run_id in run_ids:
        plan_rest(run_id, now)


def is_being_planned(session: Session | scoped_session[Any], mailing_id: int) -> bool:
    """Return whether letters are still being added to a run of the mailing."""
    unplanned = exists().where(Run.mailing_id == mailing_id, IS_UNPLANNED)
    return bool(session.scalar(select(unplanned)))


def is_unfinished(run: Run, mailing: Mailing, now: datetime) -> bool:
    """Return whether letters will still be added to a run."""
    is_over = mailing.state is MailingState.CANCELLED or now >= mailing.ends_at
    return run.plan_after is not None and not is_over


def _plan_batch(run_id: int, now: datetime) -> bool:
    """Plan a batch; return whether more are left."""
    with Session(db.engine) as session, session.begin():
        run = session.get(Run, run_id, populate_existing=True)
        if run is None or run.plan_after is None or run.plan_until is None:
            return False
        mailing = session.get_one(Mailing, run.mailing_id)
        is_open = run.state in OPEN_RUN_STATES and is_unfinished(run, mailing, now)
        end = _find_end(session, mailing.owner_id, run.plan_after, run.plan_until) if is_open else None
        if end is not None:
            lock_parts(mailing)
            first = Client.id > run.plan_after
            recipients = find_recipients(mailing, run.started_at)
            if recipients.problem is not None:
                _pause(mailing, now)
                return False  # a sweep plans the rest once the owner has fixed the audience
            clients = recipients.clients.where(first, Client.id <= end)
            key = RunKey(run.id, mailing.id, mailing.counted_owner_id, run.started_at)
            run.planned += deliveries.insert_deliveries(session.connection(), key, clients, now)
            run.plan_after = end
        if end is None or end == run.plan_until:
            run.plan_after = run.plan_until = None
            if is_open:
                report_started(mailing, run, now)
        return run.plan_after is not None


def _pause(mailing: Mailing, now: datetime) -> None:
    """Pause a mailing whose segment or tag was changed in the meantime and cannot be evaluated."""
    if mailing.state is MailingState.RUNNING:
        MAILING_TRANSITIONS.move(mailing, MailingState.PAUSED)
        mailing.state_reason = StateReason.AUDIENCE_BROKEN
        report_paused(mailing, now)


def _find_end(session: Session, owner_id: int, after: int, until: int) -> int | None:
    """Return the last client of the batch that follows the client `after`; None if no clients are left."""
    own = select(Client.id).where(Client.owner_id == owner_id, Client.id > after, Client.id <= until)
    batch: Any = own.order_by(Client.id).limit(BATCH).subquery()
    return session.scalar(select(func.max(batch.c.id)))
