"""rq-scheduler: start times and the periodic sweep. The only importer of rq_scheduler.

What is scheduled is a hint like everything in Redis: `reconcile` makes the scheduler's contents
match the database, and runs with every sweep.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

from redis import Redis, RedisError
from rq_scheduler import Scheduler
from sqlalchemy import select

from skymailing import queue
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Mailing, MailingState

logger = logging.getLogger(__name__)

TICK = 1  # seconds between looks at what is due: a start is late by no more than that
LOCK_LIFETIME = 1500  # milliseconds; a scheduler killed while it holds the lock delays the next by no more
HEARTBEAT_LIFETIME = 10  # seconds after which a silent scheduler counts as dead
SWEEP_INTERVAL = 15  # seconds
SWEEP_ID = "sweep"
# Starts further away than this are not scheduled yet; the sweep gets to them in time.
HORIZON = timedelta(days=2)


class SweepingScheduler(Scheduler):
    """Puts the periodic sweep back whenever it is gone or misplaced.

    That is so at first boot, after Redis was emptied, and when a clock that had been ahead is right again.
    """

    def acquire_lock(self) -> bool:
        """Take the lock, as rq_scheduler does but for a shorter time.

        Should a slow look at what is due outlast it, two schedulers enqueue the same start, which
        the keys of the database make harmless.
        """
        taken = self.connection.set(self.scheduler_lock_key, self.name, px=LOCK_LIFETIME, nx=True)
        self._lock_acquired = bool(taken)
        return self._lock_acquired

    def heartbeat(self) -> None:
        """Renew the sign of life, also after Redis was emptied."""
        with self.connection.pipeline() as pipeline:
            pipeline.hsetnx(self.key, "birth", utcnow().timestamp())
            pipeline.expire(self.key, HEARTBEAT_LIFETIME)
            pipeline.execute()

    def enqueue_jobs(self) -> Any:
        due = self.connection.zscore(self.scheduled_jobs_key, SWEEP_ID)
        if due is None or due > utcnow().timestamp() + 2 * SWEEP_INTERVAL:
            self.schedule(
                utcnow(),
                "skymailing.jobs.sweep",
                interval=SWEEP_INTERVAL,
                id=SWEEP_ID,
                queue_name=queue.SYSTEM,
                timeout=queue.JOB_TIMEOUT,
            )
        return super().enqueue_jobs()


def make_scheduler(redis: Redis | None = None) -> SweepingScheduler:
    """Return the scheduler; `run()` serves until SIGTERM or until Redis goes away."""
    return SweepingScheduler(
        queue=queue.get_queue(queue.SYSTEM, redis),
        connection=redis if redis is not None else queue.connection(),
        job_class=queue.JsonJob,
        interval=TICK,
    )


def job_id(mailing_id: int) -> str:
    """Return the fixed id of a mailing's start job: scheduling again moves it."""
    return f"mailing-{mailing_id}"


def schedule_start(mailing: Mailing) -> None:
    """Make the scheduler agree with the mailing's `next_run_at`; call after the commit."""
    try:
        scheduler = make_scheduler()
        start = mailing.next_run_at
        if start is not None and _wants_start(mailing):
            _schedule(scheduler, mailing.id, start)
        else:
            scheduler.cancel(job_id(mailing.id))
    except RedisError as error:
        logger.warning("Redis is away, the sweep will schedule mailing %d: %s", mailing.id, error)


def reconcile() -> int:
    """Schedule every start that is missing or misplaced in Redis; return how many were."""
    scheduler = make_scheduler()
    wanted: dict[str, tuple[int, datetime]] = {
        job_id(mailing_id): (mailing_id, start)
        for mailing_id, start in db.session.execute(
            select(Mailing.id, Mailing.next_run_at).where(
                Mailing.state == MailingState.SCHEDULED,
                Mailing.disabled_at.is_(None),
                Mailing.next_run_at < utcnow() + HORIZON,
            )
        ).tuples()
        if start is not None
    }
    existing = {
        raw.decode(): score
        for raw, score in scheduler.connection.zrange(scheduler.scheduled_jobs_key, 0, -1, withscores=True)
    }
    repaired = 0
    for name, (mailing_id, start) in wanted.items():
        if name not in existing or abs(existing[name] - start.timestamp()) > 1:
            _schedule(scheduler, mailing_id, start)
            repaired += 1
    for name in existing.keys() - wanted.keys() - {SWEEP_ID}:
        scheduler.cancel(name)
        repaired += 1
    return repaired


def is_alive() -> bool:
    """Whether a scheduler shows a heartbeat; raises RedisError."""
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


def _schedule(scheduler: Scheduler, mailing_id: int, start: datetime) -> None:
    # The scheduler cuts off fractions of a second; too early, a start finds nothing due.
    scheduler.enqueue_at(
        start if not start.microsecond else start.replace(microsecond=0) + timedelta(seconds=1),
        "skymailing.jobs.start_mailing",
        mailing_id,
        job_id=job_id(mailing_id),
        queue_name=queue.SYSTEM,
        timeout=queue.JOB_TIMEOUT,
        job_result_ttl=0,
    )
