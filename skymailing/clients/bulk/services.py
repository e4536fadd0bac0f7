"""Change a few clients immediately, or many with a job that a worker performs; stop or undo a job."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, insert, select
from sqlalchemy.exc import IntegrityError

from skymailing import audit, undo
from skymailing.audit import Actor
from skymailing.clients.bulk.actions import ACTIONS, Change, Order, change_back, change_clients, check_tag
from skymailing.clients.bulk.sizes import count_fitting
from skymailing.clock import utcnow
from skymailing.db.leases import is_stalled
from skymailing.db.unique import add_unless_taken
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import (
    BULK_TRANSITIONS,
    UNFINISHED_BULK_STATES,
    AuditAction,
    BulkAction,
    BulkChunk,
    BulkJob,
    BulkState,
    Removal,
    RemovalKind,
    Tag,
    User,
)
from skymailing.undo import UNDO_WINDOW

AT_ONCE = 2_000  # up to this many clients are changed by the request itself, more by a job
CHUNK = (
    1_000  # clients per transaction of a job, for which others wait 0.05 s on SQLite (0.2 s for deletions)
)
CHUNKS_AT_A_TIME = 50  # written or removed with one statement


def change_now(owner: User, order: Order, ids: Sequence[int], actor: Actor) -> tuple[Change, Removal | None]:
    """Change a few clients; return the change, and the undo record unless no client was changed.

    Raises UserError if the tag has been deleted.
    """
    change = change_clients(order, ids, order.at)
    if not change.items:
        return change, None
    _record(ACTIONS[order.action].audited, actor, owner, order, len(change.items))
    content: dict[str, Any] = {"action": order.action, "at": order.at.isoformat(), "clients": change.items}
    if order.tag_id is not None:
        content["tag"] = order.tag_id
    if order.field:
        content |= {"field": order.field, "value": order.value}
    return change, undo.save_removal(order.owner_id, RemovalKind.BULK, content, order.at)


def undo_now(owner: User, removal_id: int, now: datetime, actor: Actor) -> int | None:
    """Undo what `change_now` did; return for how many clients, or None if it can no longer be undone.

    Raises UserError if the tag has been deleted since, or if there is nothing to undo. The caller then rolls
    back, so that the undo record is kept.
    """
    content = undo.pop_removal(owner.id, RemovalKind.BULK, removal_id, now)
    if content is None:
        return None
    at = datetime.fromisoformat(content["at"]) if "at" in content else now
    names = {name: content[name] for name in ("field", "value") if name in content}
    order = Order(owner.id, BulkAction(content["action"]), at, content.get("tag"), **names)
    clients = content["clients"]
    starts = range(0, len(clients), AT_ONCE)  # earlier versions stored more
    count = sum(change_back(order, clients[start : start + AT_ONCE], now) for start in starts)
    if not count:
        raise UserError("bulk_nothing_to_undo")
    _record(ACTIONS[order.action].audited_undo, actor, owner, order, count)
    return count


def start_job(owner: User, order: Order, ids: Sequence[int], actor: Actor) -> BulkJob:
    """Create a job that changes these clients.

    Raises UserError while another job is unfinished, or if the tag has been deleted.
    """
    check_unfinished(owner.id)
    check_tag(order, "bulk_tag_missing")
    job = BulkJob(
        owner_id=owner.id,
        action=order.action,
        tag_id=order.tag_id,
        tag=order.tag,
        field=order.field,
        value=order.value,
        total=len(ids),
        created_at=order.at,
    )
    if not add_unless_taken(job):  # a request from another browser tab was faster
        raise UserError("bulk_unfinished")
    for rows in _make_chunks(job.id, ids):
        db.session.execute(insert(BulkChunk), rows)
    _record(ACTIONS[order.action].audited, actor, owner, order, len(ids))
    return job


def _make_chunks(job_id: int, ids: Sequence[int]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of the chunks, CHUNKS_AT_A_TIME at once."""
    starts = range(0, len(ids), CHUNK)
    for first in range(0, len(starts), CHUNKS_AT_A_TIME):
        yield [
            {
                "job_id": job_id,
                "number": start // CHUNK,
                "is_done": False,
                "content": list(ids[start : start + CHUNK]),
            }
            for start in starts[first : first + CHUNKS_AT_A_TIME]
        ]


def split_chunk(job: BulkJob, chunk: BulkChunk) -> None:
    """Move the last clients of a chunk to a new one if all have too much data for one transaction."""
    count = count_fitting(job.action, chunk.content)
    if count < len(chunk.content):
        last = db.session.scalar(select(func.max(BulkChunk.number)).where(BulkChunk.job_id == job.id)) or 0
        db.session.add(BulkChunk(job_id=job.id, number=last + 1, content=chunk.content[count:]))
        chunk.content = chunk.content[:count]


def check_unfinished(owner_id: int) -> None:
    """Raise UserError if a job of the owner is unfinished."""
    unfinished = (BulkJob.owner_id == owner_id) & BulkJob.state.in_(UNFINISHED_BULK_STATES)
    if db.session.scalar(select(exists().where(unfinished))):
        raise UserError("bulk_unfinished")


def stop_job(job: BulkJob, owner: User, now: datetime, actor: Actor) -> bool:
    """Stop a job after the chunk that is being changed; return False if it had already ended."""
    lock_job(job)
    if job.state not in UNFINISHED_BULK_STATES:
        return False
    end_job(job, BulkState.STOPPED, now)
    _record(AuditAction.BULK_STOPPED, actor, owner, make_order(job), job.changed)
    return True


def end_job(job: BulkJob, state: BulkState, now: datetime, error: str = "") -> None:
    """Move a locked job to a final state, and delete the chunks that were not processed."""
    BULK_TRANSITIONS.move(job, state)
    job.error, job.ended_at, job.lease_until = error, now, None
    db.session.execute(delete(BulkChunk).where(BulkChunk.job_id == job.id, ~BulkChunk.is_done))


def can_be_undone(job: BulkJob, now: datetime) -> bool:
    """Return whether the owner can still undo the job."""
    if job.ended_at is None or job.ended_at <= now - UNDO_WINDOW:
        return False
    return job.changed > 0 and BULK_TRANSITIONS.allows(job.state, BulkState.UNDOING)


def undo_job(job: BulkJob, owner: User, actor: Actor) -> bool:
    """Let a worker undo a job; return False if that is no longer possible.

    Raises UserError while another job is unfinished, or if the tag has been deleted.
    """
    lock_job(job)
    if not can_be_undone(job, utcnow()):  # the current time, since the wait for the lock may have been long
        return False
    order = make_order(job)
    if order.needs_tag and order.tag_id is None:
        raise UserError("bulk_tag_deleted")
    check_unfinished(owner.id)
    _record(ACTIONS[order.action].audited_undo, actor, owner, order, job.changed)
    BULK_TRANSITIONS.move(job, BulkState.UNDOING)
    job.done, job.total, job.error, job.ended_at = 0, job.changed, "", None
    try:
        db.session.flush()
    except IntegrityError as error:  # another browser tab has started a job
        raise UserError("bulk_unfinished") from error
    return True


def lock_job(job: BulkJob) -> None:
    """Lock a job until the transaction ends, and refresh it."""
    db.session.refresh(job, with_for_update=True)


def make_order(job: BulkJob) -> Order:
    return Order(job.owner_id, job.action, job.created_at, job.tag_id, job.tag, job.field, job.value)


def find_stalled_jobs(now: datetime) -> list[int]:
    """Return the IDs of unfinished jobs without a worker: the hint was lost, or the worker died."""
    unfinished = select(BulkJob.id).where(BulkJob.state.in_(UNFINISHED_BULK_STATES), is_stalled(BulkJob, now))
    return list(db.session.scalars(unfinished.order_by(BulkJob.id)))


def find_open_jobs(owner_id: int, now: datetime) -> list[BulkJob]:
    """Return the owner's jobs that are unfinished or can be undone, latest first."""
    is_recent = BulkJob.ended_at.is_(None) | (BulkJob.ended_at > now - UNDO_WINDOW)
    statement = select(BulkJob).where(BulkJob.owner_id == owner_id, is_recent).order_by(BulkJob.id.desc())
    return [
        job
        for job in db.session.scalars(statement)
        if job.state in UNFINISHED_BULK_STATES or can_be_undone(job, now)
    ]


def delete_expired(now: datetime) -> None:
    """Delete some of the chunks of a job that can no longer be undone."""
    has_chunks = exists().where(BulkChunk.job_id == BulkJob.id)
    job_id = db.session.scalar(
        select(BulkJob.id)
        .where(BulkJob.ended_at <= now - UNDO_WINDOW, has_chunks)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if job_id is not None:
        job_chunks = BulkChunk.job_id == job_id
        oldest = select(BulkChunk.number).where(job_chunks).order_by(BulkChunk.number).limit(CHUNKS_AT_A_TIME)
        db.session.execute(delete(BulkChunk).where(job_chunks, BulkChunk.number.in_(oldest)))


def _record(action: AuditAction, actor: Actor, owner: User, order: Order, count: int) -> None:
    tag = db.session.get(Tag, order.tag_id) if order.tag_id is not None else None
    audit.record_bulk(action, actor, tag or owner, count)
