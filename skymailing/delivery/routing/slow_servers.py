"""Let one worker at a time wait for owners' slow servers, so that the others can serve all other owners.

A server that keeps a worker waiting is marked in Redis for a while. Without this, a few servers that accept
connections and then stay silent would occupy all workers.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis import RedisError

from skymailing import queue

logger = logging.getLogger(__name__)

SLOW_SECONDS = 5.0  # to open sessions and send a window, which should take one second
MARK_SECONDS = 900  # time for which a server counts as slow
LEASE = "slow-servers"
LEASE_SECONDS = 150  # longer than opening a session and waiting for the replies to a letter


def is_slow(route: str) -> bool:
    """Return whether the route has recently kept a worker waiting; False while Redis is unavailable."""
    try:
        return bool(queue.connection().exists(_make_key(route)))
    except RedisError:
        return False


@contextmanager
def use(route: str, holder: str) -> Iterator[bool]:
    """Yield whether this worker may use the route now: not if it is slow and another worker holds the lease.

    The time spent inside the context counts as the time that the route kept this worker waiting.
    """
    must_hold = is_slow(route)
    if must_hold and not begin(holder):
        yield False
        return
    started_at = time.monotonic()
    try:
        yield True
    finally:
        _mark_if_slow(route, time.monotonic() - started_at)
        if must_hold:
            end(holder)


def begin(holder: str) -> bool:
    """Return whether this worker now holds the lease for slow servers, until `end`; only one worker can."""
    return queue.hold_lease(LEASE, holder, LEASE_SECONDS)


def end(holder: str) -> None:
    """Let another worker use a slow server."""
    queue.end_lease(LEASE, holder)


def _mark_if_slow(route: str, seconds: float) -> None:
    if seconds <= SLOW_SECONDS:
        return
    logger.info("route %s is slow: it took %.0f seconds", route, seconds)
    with suppress(RedisError):
        queue.connection().set(_make_key(route), 1, ex=MARK_SECONDS)


def _make_key(route: str) -> str:
    return f"skymailing:slow:{route}"
