"""Perform actions on many clients in the background.

If the worker is killed, no client is skipped or changed twice: each chunk of clients is committed together
with its progress, so that the next worker continues after it.
"""

import logging
import time
from datetime import datetime, timedelta

from sqlalchemy import case, literal, select
from sqlalchemy.exc import OperationalError

from skymailing.clients.bulk.actions import change_back, change_clients, keep_tag
from skymailing.clients.bulk.services import end_job, make_order, split_chunk
from skymailing.clock import utcnow
from skymailing.db import leases
from skymailing.db.engine import StopCheck, let_others_write
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import UNFINISHED_BULK_STATES, BulkChunk, BulkJob, BulkState, User

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)


class LeaseLost(Exception):
    """The owner has stopped the job, or the lease expired and another worker has taken over the job."""


def run_slice(job_id: int, should_stop: StopCheck) -> bool:
    """Run a job until it ends or `should_stop` returns True; return whether it must be continued."""
    lease = acquire_lease(job_id, utcnow())
    if lease is None:
        return False
    try:
        return change_chunks(job_id, lease, should_stop)
    except LeaseLost:
        db.session.rollback()
        logger.info("Bulk job %s was stopped or taken over by another worker", job_id)
    except UserError as error:
        db.session.rollback()
        mark_failed(job_id, error.code)
    except OperationalError:
        raise  # a database problem: the sweep repeats the job when the lease has expired
    except Exception:  # a bug in our code: the owner sees that the job failed, and the log has the traceback
        db.session.rollback()
        mark_failed(job_id, "bulk_internal_error")
        raise
    return False


def change_chunks(job_id: int, lease: datetime, should_stop: StopCheck) -> bool:
    """Change one chunk after another until the job ends or must stop; return whether it must be continued."""
    started = time.monotonic()
    while True:
        chunk_started = time.monotonic()
        renewed = change_chunk(job_id, lease)
        if renewed is None:
            return False
        lease = renewed
        if should_stop(time.monotonic() - started):
            update_job(job_id, lease, lease_until=None)
            db.session.commit()
            return True
        let_others_write(time.monotonic() - chunk_started)


def change_chunk(job_id: int, lease: datetime) -> datetime | None:
    """Change the next chunk or undo its change, and record the progress; return the renewed lease.

    If no chunk is left or the owner is blocked, end the job and return None. Raises LeaseLost or UserError.
    """
    now = utcnow()
    renewed = now + LEASE
    keep_tag(make_order(db.session.get_one(BulkJob, job_id, populate_existing=True)))
    # This locks the job before its clients, so that "Stop" waits for the end of the chunk.
    update_job(job_id, lease, lease_until=renewed)
    job = db.session.get_one(BulkJob, job_id, populate_existing=True)
    is_undoing = job.state is BulkState.UNDOING
    remaining = select(BulkChunk).where(BulkChunk.job_id == job_id, BulkChunk.is_done.is_(is_undoing))
    chunk = db.session.scalar(remaining.order_by(BulkChunk.number).limit(1))
    if chunk is None:
        end_job(job, BulkState.UNDONE if is_undoing else BulkState.FINISHED, now)
    elif is_blocked(job.owner_id):
        end_job(job, BulkState.STOPPED, now, "bulk_blocked")
    elif is_undoing:
        job.changed -= change_back(make_order(job), chunk.content, now)
        job.done += len(chunk.content)
        db.session.delete(chunk)
    else:
        split_chunk(job, chunk)
        changed, skipped = change_clients(make_order(job), chunk.content, now)
        job.done += len(chunk.content)
        job.changed += len(changed)
        job.skipped += skipped
        chunk.content, chunk.is_done = changed, True
    has_ended = job.state not in UNFINISHED_BULK_STATES
    db.session.commit()
    return None if has_ended else renewed


def is_blocked(owner_id: int) -> bool:
    return db.session.scalar(select(User.blocked_at).where(User.id == owner_id)) is not None


def acquire_lease(job_id: int, now: datetime) -> datetime | None:
    """Acquire the job's lease and return its end; None if the job has ended or another worker has it."""
    lease = now + LEASE
    is_available = BulkJob.state.in_(UNFINISHED_BULK_STATES) & leases.is_free(BulkJob, now)
    running = literal(BulkState.RUNNING, BulkJob.state.type)
    state = case((BulkJob.state == BulkState.PENDING, running), else_=BulkJob.state)
    acquired = leases.take_lease(BulkJob, (BulkJob.id == job_id) & is_available, lease, state=state)
    db.session.commit()
    return lease if acquired else None


def update_job(job_id: int, lease: datetime, **values: object) -> None:
    """Update the job if this worker still has its lease; otherwise raise LeaseLost."""
    if not leases.change_leased(BulkJob, [job_id], lease, **values):
        raise LeaseLost


def mark_failed(job_id: int, error: str) -> None:
    """End the job, if it has not ended yet, and record the error's code."""
    unfinished = select(BulkJob).where(BulkJob.id == job_id, BulkJob.state.in_(UNFINISHED_BULK_STATES))
    job = db.session.scalar(unfinished.with_for_update())
    if job is not None:
        end_job(job, BulkState.FAILED, utcnow(), error)
    db.session.commit()
