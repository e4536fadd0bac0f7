"""rq-scheduler: start times and the periodic sweep. The only module that imports rq_scheduler.

Scheduled jobs are hints, like everything in Redis. `reconcile` makes them match the database, and
runs with every sweep.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from redis import Redis, RedisError
from rq_scheduler import Scheduler
from sqlalchemy import Row, Select, select

from skymailing import queue
from skymailing.clock import utcnow
from skymailing.db.engine import reading_engine
from skymailing.delivery.eligibility import HOURS, hours_of, may_send, may_start
from skymailing.delivery.local_runs import IS_PENDING
from skymailing.models import (
    EVERY_DAY,
    OPEN_RUN_STATES,
    Delivery,
    Mailing,
    MailingState,
    Run,
    RunState,
    User,
)

logger = logging.getLogger(__name__)

TICK = 1  # seconds between checks for due jobs: the maximum delay of a start scheduled since the last one
MARGIN = 0.01  # seconds between the time when a job is due and the check that must find it
LOCK_LIFETIME = 1500  # milliseconds; the maximum delay after a scheduler is killed while it holds the lock
HEARTBEAT_LIFETIME = 10  # seconds after which a silent scheduler counts as dead
SWEEP_INTERVAL = 15  # seconds
SWEEP_ID = "sweep"
# Starts beyond this horizon are left to a later sweep.
HORIZON = timedelta(days=2)
BATCH = 500  # jobs in one request to Redis
RECONCILE_SECONDS = 2.0  # after which the rest is left to the next sweep


class SweepingScheduler(Scheduler):
    """A scheduler that reschedules the periodic sweep when it is missing or too far ahead.

    This happens at the first start, after Redis has been emptied, and after a fast clock has been corrected.
    """

    _interval: float  # seconds from the start of a check to the next one

    def acquire_lock(self) -> bool:
        """Acquire the lock as rq_scheduler does, but for a shorter time.

        When a check for due jobs takes longer than the lock, two schedulers may enqueue the same start.
        Unique constraints in the database make that harmless.
        """
        self._interval = TICK
        was_set = self.connection.set(self.scheduler_lock_key, self.name, px=LOCK_LIFETIME, nx=True)
        self._lock_acquired = bool(was_set)
        return self._lock_acquired

    def heartbeat(self) -> None:
        """Renew the heartbeat, even after Redis has been emptied."""
        with self.connection.pipeline() as pipeline:
            pipeline.hsetnx(self.key, "birth", utcnow().timestamp())
            pipeline.expire(self.key, HEARTBEAT_LIFETIME)
            pipeline.execute()

    def enqueue_jobs(self) -> Any:
        began = time.monotonic()
        due = self.connection.zscore(self.scheduled_jobs_key, SWEEP_ID)
        if due is None or due > utcnow().timestamp() + 2 * SWEEP_INTERVAL:
            self.schedule(
                utcnow(),
                queue.JOB_PREFIX + "sweep",
                interval=SWEEP_INTERVAL,
                id=SWEEP_ID,
                queue_name=queue.SYSTEM,
                timeout=queue.JOB_TIMEOUT,
            )
        jobs = super().enqueue_jobs()
        self._interval = time.monotonic() - began + self._find_pause()
        return jobs

    def get_jobs_to_queue(self, with_times: bool = False) -> Any:
        """Return the due jobs; rq_scheduler would drop the fraction of the current second."""
        return self.get_jobs(utcnow().timestamp(), with_times)

    def _find_pause(self) -> float:
        """Return the seconds until the next check, which takes place as soon as the next job is due."""
        first = self.connection.zrange(self.scheduled_jobs_key, 0, 0, withscores=True)
        due_in = first[0][1] - utcnow().timestamp() if first else TICK
        return float(min(TICK, max(0, due_in) + MARGIN))

    def enqueue_job(self, job: queue.JsonJob) -> None:
        """Enqueue a due job; cancel one that is not ours instead of failing on it at every check."""
        try:
            super().enqueue_job(job)
        except queue.ForeignJob:
            logger.warning("Cancelled the scheduled job %s, which is not one of ours", job.id)
            self.cancel(job)


def make_scheduler(redis: Redis | None = None) -> SweepingScheduler:
    """Return the scheduler; its `run()` returns after SIGTERM or when Redis goes down."""
    return SweepingScheduler(
        queue=queue.get_queue(queue.SYSTEM, redis),
        connection=redis if redis is not None else queue.connection(),
        job_class=queue.JsonJob,
        interval=TICK,
    )


@dataclass(frozen=True)
class Wake:
    """A job to enqueue at a given time, under a fixed ID; scheduling it again changes the time."""

    name: str
    function: str
    subject: int
    at: datetime

    @classmethod
    def start(cls, mailing_id: int, at: datetime) -> "Wake":
        """Return the job that starts a mailing's run."""
        return cls(f"mailing-{mailing_id}", "start_mailing", mailing_id, at)

    @classmethod
    def resume(cls, run_id: int, at: datetime) -> "Wake":
        """Return the job that continues a run at its next sending hours, or at its clients' local time."""
        return cls(f"run-{run_id}", "wake_run", run_id, at)


def find_start(mailing: Mailing) -> datetime | None:
    """Return when a mailing needs its start job; None if it may not start, or not soon."""
    may_start = mailing.state is MailingState.SCHEDULED and not mailing.is_disabled
    start = mailing.next_run_at
    if not may_start or start is None or start >= utcnow() + HORIZON or mailing.owner.is_blocked:
        return None
    return start


def schedule_start(mailing_id: int, start: datetime | None) -> None:
    """Schedule a mailing's start job, or cancel it if `start` is None. Call after the commit."""
    try:
        scheduler = make_scheduler()
        if start is not None:
            _schedule(scheduler, [Wake.start(mailing_id, start)])
        else:
            scheduler.cancel(Wake.start(mailing_id, utcnow()).name)
    except RedisError as error:
        logger.warning("Redis is down; the sweep will schedule mailing %d: %s", mailing_id, error)


def reconcile(now: datetime) -> int:
    """Correct the scheduled jobs in Redis to match the database; return the number of corrections.

    A start that is due at `now` needs no job: the same sweep has asked a worker to start the mailing.
    Corrections that take too long are left to the next sweep, the latest starts first.
    """
    scheduler = make_scheduler()
    wanted = {wake.name: wake for wake in [*_list_starts(now), *_list_openings(now), *_list_zones(now)]}
    existing = {
        raw.decode(): score
        for raw, score in scheduler.connection.zrange(scheduler.scheduled_jobs_key, 0, -1, withscores=True)
    }
    obsolete = existing.keys() - wanted.keys() - {SWEEP_ID}
    if obsolete:
        scheduler.connection.zrem(scheduler.scheduled_jobs_key, *obsolete)
    wrong = [wake for wake in wanted.values() if _is_wrong(wake, existing.get(wake.name), now)]
    deadline = time.monotonic() + RECONCILE_SECONDS
    repaired = 0
    while repaired < len(wrong) and time.monotonic() < deadline:
        batch = wrong[repaired : repaired + BATCH]
        _schedule(scheduler, batch)
        repaired += len(batch)
    return repaired + len(obsolete)


def _is_wrong(wake: Wake, scheduled: float | None, now: datetime) -> bool:
    if scheduled is None:
        return wake.at > now
    # Earlier versions schedule up to a second later. A job that comes too early finds nothing due.
    return not 0 <= scheduled - wake.at.timestamp() < 1


def _list_starts(now: datetime) -> list[Wake]:
    soon = (
        select(Mailing.id, Mailing.next_run_at)
        .join(User, User.id == Mailing.owner_id)
        .where(may_start(now + HORIZON))
        .order_by(Mailing.next_run_at)
    )
    return [Wake.start(id, start) for id, start in _read(soon) if start is not None]


def _list_openings(now: datetime) -> list[Wake]:
    """Return the next openings of runs that are outside their sending hours."""
    outside_hours = (
        select(Run.id, *HOURS)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(
            Run.state.in_(OPEN_RUN_STATES),
            Run.state != RunState.LOCAL,
            (Mailing.weekdays != EVERY_DAY) | Mailing.opens_at.is_not(None),
            may_send(now),
        )
    )
    openings = [(run.id, hours_of(run).find_next_opening(now)) for run in _read(outside_hours)]
    return [Wake.resume(id, at) for id, at in openings if at is not None and now < at < now + HORIZON]


def _list_zones(now: datetime) -> list[Wake]:
    """Return when the next letters of runs at local time are due."""
    due = select(Delivery.not_before).where(Delivery.run_id == Run.id, IS_PENDING, Delivery.not_before > now)
    first = due.order_by(Delivery.not_before).limit(1).correlate(Run).scalar_subquery()
    waiting = (
        select(Run.id, first)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(Run.state == RunState.LOCAL, may_send(now))
    )
    return [Wake.resume(id, at) for id, at in _read(waiting) if at is not None and at < now + HORIZON]


def _read(statement: Select[Any]) -> Sequence[Row[Any]]:
    # No transaction stays open during the requests to Redis: on SQLite it would block every other writer.
    with reading_engine().connect() as connection:
        return connection.execute(statement).all()


def is_alive() -> bool:
    """Return whether a scheduler is alive; raises RedisError."""
    pattern = f"{Scheduler.redis_scheduler_namespace_prefix}*"
    redis = queue.connection()
    return any(not redis.hexists(key, "death") for key in redis.scan_iter(pattern, count=1000))


def _schedule(scheduler: Scheduler, wakes: Sequence[Wake]) -> None:
    """Schedule the jobs, all of them in one round trip."""
    times: dict[str, float] = {}
    with scheduler.connection.pipeline(transaction=False) as pipeline:
        for wake in wakes:
            job = scheduler._create_job(
                queue.JOB_PREFIX + wake.function,
                args=(wake.subject,),
                commit=False,
                id=wake.name,
                queue_name=queue.SYSTEM,
                timeout=queue.JOB_TIMEOUT,
                result_ttl=0,
            )
            job.save(pipeline=pipeline)
            times[wake.name] = wake.at.timestamp()
        pipeline.zadd(scheduler.scheduled_jobs_key, times)
        pipeline.execute()
