"""The worker process: serves the queues until it receives a signal to stop.

Only this module and `queue` import rq.
"""

import contextlib
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from redis import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from skymailing.logs import context
from skymailing.queue import (
    DELIVERY,
    JOB_PREFIX,
    SYSTEM,
    WORKER_NAME,
    ForeignJob,
    JsonJob,
    connect,
    connection,
    get_queue,
)

logger = logging.getLogger(__name__)
job_log = logging.getLogger("skymailing.jobs")

MAX_SYSTEM_SECONDS = 0.5  # spent on small jobs before a slice of a run takes precedence
WORKER_TTL = 75  # seconds after which a silent worker counts as dead
MAINTENANCE_INTERVAL = 60  # seconds between clean-ups of dead workers' keys in Redis
REDIS_PAUSE = 1.0  # seconds between attempts while Redis is down
RESTART_PAUSE = 2.0  # seconds before the worker's loop is started again

_stop_requested = threading.Event()


class Worker(SimpleWorker):
    """A worker that runs jobs in its own process.

    There is no fork per job, so sessions with the mail server stay open between slices, and kill -9
    ends the worker together with its job: a lease never has two holders.
    """

    max_connection_wait_time = 2.0  # seconds between attempts while Redis is down; rq would increase it to 60
    system_seconds = 0.0  # spent on small jobs since the last slice of a run
    # Called when the worker has had no job for a few seconds.
    on_idle: tuple[int, Callable[[], None]] | None = None

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a job; call on_idle if none arrives for a few seconds, to close mail sessions."""
        if self.on_idle and timeout is not None:  # None: do not wait
            seconds, call = self.on_idle
            if found := super().dequeue_job_and_maintain_ttl(timeout, seconds):
                return found
            call()
        return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)

    def perform_job(self, job: Job, queue: Queue, execution: Any) -> bool:
        """Run a job and log one line about it. All log lines of the job contain its ID."""
        context.reset(job_id=job.id)
        start = time.perf_counter()
        is_done = False
        try:
            is_done = bool(super().perform_job(job, queue, execution))
        finally:
            seconds = time.perf_counter() - start
            name = _name_of(job)
            fields = {"job": name, "done": is_done, "ms": round(seconds * 1000, 1)}
            outcome = "done" if is_done else "FAILED"
            job_log.info("%s %s %.0f ms", name, outcome, seconds * 1000, extra={"fields": fields})
            context.reset()
            self._order_queues(queue, seconds)
        return is_done

    def _order_queues(self, queue: Queue, seconds: float) -> None:
        """Serve small jobs first, but let a run go first once they have used up MAX_SYSTEM_SECONDS."""
        self.system_seconds = self.system_seconds + seconds if queue.name == SYSTEM else 0.0
        first = DELIVERY if self.system_seconds > MAX_SYSTEM_SECONDS else SYSTEM
        self._ordered_queues.sort(key=lambda queue: queue.name != first)

    def bootstrap(self, *arguments: Any, **options: Any) -> None:
        super().bootstrap(*arguments, **options)
        self._stop_requested = stop_is_requested()  # by a signal to the worker before this one

    def teardown(self) -> None:
        # Without Redis, rq's version fails before it stops the listening thread, which would connect
        # again and count as another worker.
        try:
            super().teardown()  # type: ignore[no-untyped-call]
        finally:
            if self.pubsub_thread:
                self.pubsub_thread.stop()
            self.connection.connection_pool.disconnect()

    def unsubscribe(self) -> None:
        # rq unsubscribes before it stops the listening thread. That thread could then block for a minute, and
        # rq would wait for it for a second.
        if self.pubsub_thread:
            self.pubsub_thread.stop()
        super().unsubscribe()  # type: ignore[no-untyped-call]

    def handle_warm_shutdown_request(self) -> None:
        _stop_requested.set()

    def set_shutdown_requested_date(self) -> None:
        # A signal handler calls this, perhaps during a job, which must continue even if Redis is down.
        with contextlib.suppress(RedisError):
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]


def _name_of(job: Job) -> str:
    try:
        return (job.func_name or "").removeprefix(JOB_PREFIX)
    except ForeignJob:
        return "foreign"


def stop_is_requested() -> bool:
    """Return whether this worker should stop, so that its job ends after the current window."""
    return _stop_requested.is_set()


def serve(on_idle: tuple[int, Callable[[], None]]) -> None:
    """Serve the queues until SIGTERM or SIGINT. `on_idle`: seconds without a job, and what to call then.

    rq ends its loop when a Redis command fails outside the wait for a job. The process keeps its sessions
    with the mail server, and continues once Redis is back.
    """
    try:
        while not stop_is_requested():
            with contextlib.suppress(RedisError):
                worker = make_worker()
                worker.on_idle = on_idle
                worker.work()
            if not stop_is_requested():
                logger.warning("the worker's loop ended, probably because Redis is down; starting it again")
                time.sleep(RESTART_PAUSE)  # Redis may respond, but refuse every write
                _wait_for_redis()
    except StopRequested:  # the signal arrived during the wait; rq's handler raises this
        pass


def _wait_for_redis() -> None:
    while not stop_is_requested():
        try:
            connection().ping()
        except RedisError:
            time.sleep(REDIS_PAUSE)
        else:
            return


def make_worker() -> Worker:
    """Return a worker for every queue; `work()` serves until SIGTERM."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())
    name = f"{WORKER_NAME}{host}-{uuid4().hex}"
    redis = connect(socket_timeout=WORKER_TTL, client_name=name)
    return Worker(
        [get_queue(SYSTEM, redis), get_queue(DELIVERY, redis)],
        name=name,
        connection=redis,
        serializer=JSONSerializer,
        job_class=JsonJob,
        worker_ttl=WORKER_TTL,
        maintenance_interval=MAINTENANCE_INTERVAL,
    )
