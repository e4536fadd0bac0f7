"""Let one worker at a time wait for slow servers of owners, so that the others serve everyone else.

A server that keeps a worker waiting is marked in Redis for a while. Without this, a few servers that accept
connections and then stay silent would occupy all workers.
"""

import logging

from redis import RedisError

from skymailing import queue

logger = logging.getLogger(__name__)

SLOW_SECONDS = 5.0  # to open sessions and to send a window, which is meant to take one second
KEPT = 900  # seconds for which a server counts as slow
LEASE = "slow-servers"
LEASE_SECONDS = 150  # longer than opening a session and waiting for the replies to a letter


def may_wait(route: str, holder: str) -> bool:
    """Whether this worker may use the route now: it is not slow, or no other worker uses a slow one."""
    return not _is_slow(route) or queue.hold_lease(LEASE, holder, LEASE_SECONDS)


def note(route: str, holder: str, seconds: float) -> None:
    """Note how long the route has kept this worker, which may then serve others."""
    try:
        if seconds > SLOW_SECONDS:
            queue.connection().set(_key(route), 1, ex=KEPT)
            logger.info("route %s is slow: it took %.0f seconds", route, seconds)
    except RedisError:
        return
    queue.end_lease(LEASE, holder)


def _is_slow(route: str) -> bool:
    try:
        return bool(queue.connection().exists(_key(route)))
    except RedisError:
        return False


def _key(route: str) -> str:
    return f"skymailing:slow:{route}"
