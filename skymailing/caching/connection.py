"""The cache's connections to Redis."""

import os
import threading
from typing import Any, cast

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

SOCKET_TIMEOUT = 0.25  # seconds; rendering a page is faster than waiting longer


def connect(url: str) -> Redis:
    """Return a client with short timeouts and without retries."""
    return Redis.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT,
        socket_connect_timeout=SOCKET_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )


class ThreadConnection(threading.local):
    """A Redis connection per thread, for the commands that requests and commits repeat.

    For each command, the `redis` client borrows a connection, checks it and updates statistics. This took as
    much CPU time as all the rest of serving a cached page. Commands may be sent twice.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._connection: Any = None
        self._process = 0

    def execute(self, *command: str | bytes | int) -> list[bytes | None]:
        """Return the reply, reconnecting once if the connection was closed; raises RedisError."""
        if self._process != os.getpid():
            # Forked processes cannot share a connection.
            self._connection, self._process = self._pool.make_connection(), os.getpid()
        try:
            return self._exchange(command)
        except RedisConnectionError:
            return self._exchange(command)

    def _exchange(self, command: tuple[str | bytes | int, ...]) -> list[bytes | None]:
        try:
            self._connection.send_command(*command, check_health=False)
            return cast("list[bytes | None]", self._connection.read_response())
        except RedisError:
            self._connection.disconnect()  # otherwise, the next command could read this one's late reply
            raise
