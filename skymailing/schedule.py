"""rq-scheduler: start times and the periodic sweep. The only importer of rq_scheduler.

What is scheduled is a hint like everything in Redis: `reconcile` makes the scheduler's contents
match the database, and runs with every sweep.
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


@dataclass(frozen=True)
class Wake:
    """A job that is to be enqueued at a time, under a fixed id: scheduling again moves it."""

    name: str
    function: str
    subject: int
    at: datetime

    @classmethod
    def start(cls, mailing_id: int, at: datetime) -> "Wake":
        """Start a mailing's run."""
        return cls(f"mailing-{mailing_id}", "start_mailing", mailing_id, at)

    @classmethod
    def go_on(cls, run_id: int, at: datetime) -> "Wake":
        """Go on with a run that rested outside its sending hours."""
        return cls(f"run-{run_id}", "wake_run", run_id, at)


def schedule_start(mailing: Mailing) -> None:
    """Make the scheduler agree with the mailing's `next_run_at`; call after the commit."""
    try:
        scheduler = make_scheduler()
        start = mailing.next_run_at
        if start is not None and _wants_start(mailing):
            _schedule(scheduler, Wake.start(mailing.id, start))
        else:
            scheduler.cancel(Wake.start(mailing.id, utcnow()).name)
    except RedisError as error:
        logger.warning("Redis is away, the sweep will schedule mailing %d: %s", mailing.id, error)


def reconcile() -> int:
    """Schedule every job that is missing or misplaced in Redis; return how many were."""
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
    """Return when the runs go on that rest outside their sending hours."""
    now = utcnow()
    resting = (
        select(Run.id, *HOURS)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(
            Run.state.in_(OPEN_RUN_STATES),
            (Mailing.weekdays != EVERY_DAY) | Mailing.opens_at.is_not(None),
            may_send(now),
        )
    )
    openings = [(run.id, hours_of(run).next_opening(now)) for run in db.session.execute(resting)]
    return [Wake.go_on(id, at) for id, at in openings if at is not None and now < at < now + HORIZON]


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


def _schedule(scheduler: Scheduler, wake: Wake) -> None:
    # The scheduler cuts off fractions of a second; too early, a start finds nothing due.
    whole = wake.at.replace(microsecond=0)
    scheduler.enqueue_at(
        whole if whole == wake.at else whole + timedelta(seconds=1),
        f"skymailing.jobs.{wake.function}",
        wake.subject,
        job_id=wake.name,
        queue_name=queue.SYSTEM,
        timeout=queue.JOB_TIMEOUT,
        job_result_ttl=0,
    )
