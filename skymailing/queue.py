"""rq queues: hints to check the database now instead of at the next sweep.

Only this module and `worker` import rq. Jobs are identified by their import path and take plain JSON values.
Enqueue after the commit. While Redis is down, hints are lost and the sweep finds the work later.
"""

import contextlib
import logging
import time
from collections import Counter
from typing import Any

from flask import current_app
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer

logger = logging.getLogger(__name__)

# Served in this order: small jobs first, then slices of runs.
SYSTEM = "system"
DELIVERY = "delivery"

JOB_TIMEOUT = 600  # seconds; a job takes about 20, so this only ends one that hangs
HINT_LIFETIME = 15  # seconds after which a hint can be repeated: its worker may have died or be busy
# Prefix of the names of a worker and its connections; the host and a random part follow.
WORKER_NAME = "skymailing-worker-"
REDIS_START_TIMEOUT = 15  # seconds that a starting process waits for Redis

# The functions of `skymailing.jobs` that a worker imports by name; a test compares the two.
JOBS = frozenset(
    {
        "advance_sequences",
        "change_clients",
        "check_domain",
        "check_links",
        "continue_sweep",
        "erase_account",
        "import_clients",
        "index_clients",
        "read_mailbox",
        "remove_expired",
        "send_outbox",
        "send_slice",
        "send_webhooks",
        "start_mailing",
        "sweep",
        "test_servers",
        "wake_run",
    }
)
JOB_PREFIX = "skymailing.jobs."
# Fields of jobs from which rq and rq-scheduler import a name or request a URL. We use none of them.
FOREIGN_FIELDS = frozenset(
    {b"success_callback_name", b"failure_callback_name", b"stopped_callback_name", b"webhooks"}
)
FOREIGN_META = "queue_class_name"


class ForeignJob(DeserializationError):
    """A job in Redis is not one of ours, so nothing that it names is imported or called."""


class JsonJob(Job):
    """One of JOBS with JSON arguments, so that write access to Redis cannot run other code."""

    _is_foreign = False

    def __init__(
        self, id: str | None = None, connection: Redis | None = None, serializer: Any = None
    ) -> None:
        super().__init__(id, connection, serializer or JSONSerializer)

    def restore(self, raw_data: dict[bytes, bytes]) -> Any:
        """Read a job from Redis, without the fields that would import or call other code."""
        foreign = {name for name, value in raw_data.items() if value and name in FOREIGN_FIELDS}
        allowed = {name: value for name, value in raw_data.items() if name not in foreign}
        restored = super().restore(allowed)
        has_queue_class = isinstance(self.meta, dict) and self.meta.pop(FOREIGN_META, None) is not None
        self._is_foreign = bool(foreign) or has_queue_class
        return restored

    def _deserialize_data(self) -> None:
        try:
            super()._deserialize_data()  # type: ignore[no-untyped-call]
        except DeserializationError as error:
            raise ForeignJob from error
        name = str(self._func_name)
        is_ours = name.startswith(JOB_PREFIX) and name.removeprefix(JOB_PREFIX) in JOBS
        if self._is_foreign or self._instance is not None or not is_ours:
            self.data = self.data  # forgets the name, so that the next access to the job fails, too
            raise ForeignJob


def connect(**options: Any) -> Redis:
    """Return a connection to the configured Redis, with short timeouts and without retries."""
    settings: dict[str, Any] = {
        "socket_timeout": 2,
        "socket_connect_timeout": 2,
        "retry": Retry(NoBackoff(), 0),
    }
    return Redis.from_url(current_app.config["REDIS_URL"], **settings | options)


def connection() -> Redis:
    """Return the app's shared connection."""
    existing: Redis | None = current_app.extensions.get("skymailing_redis")
    if existing is None:
        existing = current_app.extensions["skymailing_redis"] = connect()
    return existing


def get_queue(name: str, redis: Redis | None = None) -> Queue:
    """Return a queue whose jobs are JSON."""
    return Queue(
        name,
        connection=redis if redis is not None else connection(),
        serializer=JSONSerializer,
        job_class=JsonJob,
        default_timeout=JOB_TIMEOUT,
    )


def enqueue(job: str, *args: Any, queue: str = SYSTEM) -> bool:
    """Ask a worker to run `skymailing.jobs.<job>(*args)`; False while Redis is down."""
    try:
        get_queue(queue).enqueue(JOB_PREFIX + job, *args, result_ttl=0, failure_ttl=86_400)
    except RedisError as error:
        logger.warning("Redis is down; the sweep will enqueue %s%r: %s", job, args, error)
        return False
    return True


def hint(name: str, job: str, *args: Any, queue: str = DELIVERY) -> bool:
    """Enqueue a job, unless the same hint is already in the queue; `clear_hint` allows it again."""
    try:
        if not connection().set(f"skymailing:hint:{name}", 1, nx=True, ex=HINT_LIFETIME):
            return False
    except RedisError:
        pass  # `enqueue` logs it
    return enqueue(job, *args, queue=queue)


def clear_hint(name: str) -> None:
    """Allow the hint to be given again; called when its job starts."""
    try:
        connection().delete(f"skymailing:hint:{name}")
    except RedisError:
        logger.warning("Redis is down; hint %s remains until it expires", name)


def hold_lease(name: str, holder: str, seconds: int) -> bool:
    """Take or renew a lease; False if someone else holds it.

    True while Redis is down: a lease saves work, and nothing may depend on it.
    """
    key = f"skymailing:lease:{name}"
    try:
        if connection().set(key, holder, nx=True, ex=seconds):
            return True
        if connection().get(key) != holder.encode():
            return False
        connection().expire(key, seconds)
    except RedisError:
        return True
    return True


def end_lease(name: str, holder: str) -> None:
    """Release a lease, unless someone else holds it."""
    key = f"skymailing:lease:{name}"
    with contextlib.suppress(RedisError):
        if connection().get(key) == holder.encode():
            connection().delete(key)


def others_are_waiting() -> bool:
    """Return whether any job is waiting for a worker, so that a long job should yield early."""
    return is_waiting(SYSTEM) or is_waiting(DELIVERY)


def is_waiting(name: str) -> bool:
    """Return whether a job is waiting in the queue."""
    try:
        return get_queue(name).count > 0
    except RedisError:
        return False


def count_workers() -> int:
    """Return how many workers are connected to Redis; raises RedisError."""
    return count_workers_by_host().total()


def count_workers_by_host() -> Counter[str]:
    """Return how many workers on each host are connected to Redis; raises RedisError.

    Connections are counted, not rq's records: the record of a killed worker remains for minutes, and
    the record of a running one is lost when Redis is emptied.
    """
    names = {client["name"] for client in connection().client_list()}
    return Counter(
        name.removeprefix(WORKER_NAME).rpartition("-")[0] for name in names if name.startswith(WORKER_NAME)
    )


def count_waiting() -> dict[str, int]:
    """Return how many jobs wait in each queue; raises RedisError."""
    return {name: get_queue(name).count for name in (SYSTEM, DELIVERY)}


def wait_for_redis() -> None:
    """Return as soon as Redis is available; raises RedisError after REDIS_START_TIMEOUT."""
    deadline = time.monotonic() + REDIS_START_TIMEOUT
    while True:
        try:
            connection().ping()
            return
        except RedisError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)
