"""rq-scheduler: start times and the periodic sweep. The only module that imports rq_scheduler.

Scheduled jobs are hints, like everything in Redis. `reconcile` makes them match the database, and
runs with every sweep.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from redis import Redis, RedisError
from rq_scheduler import Scheduler
from sqlalchemy import select

from skymailing import queue
from skymailing.clock import utcnow
from skymailing.delivery.eligibility import HOURS, hours_of, may_send
from skymailing.extensions import db
from skymailing.models import EVERY_DAY, OPEN_RUN_STATES, Mailing, MailingState, Run, User

logger = logging.getLogger(__name__)

TICK = 1  # seconds between checks for due jobs: the maximum delay of a start
LOCK_LIFETIME = 1500  # milliseconds; the maximum delay after a scheduler is killed while it holds the lock
HEARTBEAT_LIFETIME = 10  # seconds after which a silent scheduler counts as dead
SWEEP_INTERVAL = 15  # seconds
SWEEP_ID = "sweep"
# Starts beyond this horizon are left to a later sweep.
HORIZON = timedelta(days=2)


class SweepingScheduler(Scheduler):
    """A scheduler that reschedules the periodic sweep when it is missing or too far ahead.

    This happens at the first start, after Redis has been emptied, and after a fast clock has been corrected.
    """

    def acquire_lock(self) -> bool:
        """Acquire the lock as rq_scheduler does, but for a shorter time.

        When a check for due jobs takes longer than the lock, two schedulers may enqueue the same start.
        Unique constraints in the database make that harmless.
        """
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
        return super().enqueue_jobs()

    def enqueue_job(self, job: queue.JsonJob) -> None:
        """Enqueue a due job; cancel one that is not ours instead of failing at it with every check."""
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
    """A job to enqueue at a time, under a fixed ID; scheduling it again changes the time."""

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
        """Return the job that continues a run that paused outside its sending hours."""
        return cls(f"run-{run_id}", "wake_run", run_id, at)


def schedule_start(mailing: Mailing) -> None:
    """Schedule or cancel a mailing's start, according to its `next_run_at`. Call after the commit."""
    try:
        scheduler = make_scheduler()
        start = mailing.next_run_at
        if start is not None and _wants_start(mailing):
            _schedule(scheduler, Wake.start(mailing.id, start))
        else:
            scheduler.cancel(Wake.start(mailing.id, utcnow()).name)
    except RedisError as error:
        logger.warning("Redis is down, the sweep will schedule mailing %d: %s", mailing.id, error)


def reconcile() -> int:
    """Correct the scheduled jobs in Redis to match the database; return the number of corrections."""
    scheduler = make_scheduler()
    wanted = {wake.name: wake for wake in [*_starts(), *_openings()]}
    existing = {
        raw.decode(): score
        for raw, score in scheduler.connection.zrange(scheduler.scheduled_jobs_key, 0, -1, withscores=True)
    }
    repaired = 0
    for name, wake in wanted.items():
        if name not in existing or abs(existing[name] - wake.at.timestamp()) > 1:
            _schedule(scheduler, wake)
            repaired += 1
    for name in existing.keys() - wanted.keys() - {SWEEP_ID}:
        scheduler.cancel(name)
        repaired += 1
    return repaired


def _starts() -> list[Wake]:
    due = select(Mailing.id, Mailing.next_run_at).where(
        Mailing.state == MailingState.SCHEDULED,
        Mailing.disabled_at.is_(None),
        Mailing.next_run_at < utcnow() + HORIZON,
    )
    return [Wake.start(id, start) for id, start in db.session.execute(due).tuples() if start is not None]


def _openings() -> list[Wake]:
    """Return the next openings of runs that are outside their sending hours."""
    now = utcnow()
    outside_hours = (
        select(Run.id, *HOURS)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(
            Run.state.in_(OPEN_RUN_STATES),
            (Mailing.weekdays != EVERY_DAY) | Mailing.opens_at.is_not(None),
            may_send(now),
        )
    )
    openings = [(run.id, hours_of(run).next_opening(now)) for run in db.session.execute(outside_hours)]
    return [Wake.resume(id, at) for id, at in openings if at is not None and now < at < now + HORIZON]


def is_alive() -> bool:
    """Whether a scheduler is alive; raises RedisError."""
    pattern = f"{Scheduler.redis_scheduler_namespace_prefix}*"
    redis = queue.connection()
    return any(not redis.hexists(key, "death") for key in redis.scan_iter(pattern, count=1000))


def _wants_start(mailing: Mailing) -> bool:
    return (
        mailing.state is MailingState.SCHEDULED
        and mailing.next_run_at is not None
        and not mailing.is_disabled
        and mailing.next_run_at < utcnow() + HORIZON
    )


def _schedule(scheduler: Scheduler, wake: Wake) -> None:
    # The scheduler drops fractions of a second; an early start would find nothing due.
    whole = wake.at.replace(microsecond=0)
    scheduler.enqueue_at(
        whole if whole == wake.at else whole + timedelta(seconds=1),
        queue.JOB_PREFIX + wake.function,
        wake.subject,
        job_id=wake.name,
        queue_name=queue.SYSTEM,
        timeout=queue.JOB_TIMEOUT,
        job_result_ttl=0,
    )
