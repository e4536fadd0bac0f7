"""Flask-Caching's backend: one Redis for all processes, and slower pages instead of errors without it.

Values are JSON, never pickle, so that whoever can write to Redis cannot run code. What is cached
may depend on versions: random words in Redis, one per subject such as "articles". Forgetting a
subject replaces its word. Whoever makes a value reads the words first and labels the value with
them, so that something made of old data is never taken for new, whichever process was slower.
"""

import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

from flask import Flask
from flask_caching.backends.base import BaseCache
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

logger = logging.getLogger(__name__)

T = TypeVar("T")

PREFIX = "skymailing:cache:"
SOCKET_TIMEOUT = 0.25  # seconds; making a page anew takes less than waiting longer
PAUSE = 2.0  # seconds after a failure for which Redis is left alone


class Line(threading.local):
    """Each thread's own connection, for what every visitor's page asks.

    A client of `redis` borrows a connection for each command, looks whether it is still good and counts
    what it does. That took as much of the processor's time as all the rest of a kept page.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._connection: Any = None
        self._process = 0

    def ask(self, *command: str) -> list[bytes | None]:
        """Return the answer; raises RedisError. A connection that was closed meanwhile is opened anew."""
        if self._process != os.getpid():
            # Nor is one shared with the process that this one was forked from.
            self._connection, self._process = self._pool.make_connection(), os.getpid()
        try:
            return self._exchange(command)
        except RedisConnectionError:
            return self._exchange(command)

    def _exchange(self, command: tuple[str, ...]) -> list[bytes | None]:
        try:
            self._connection.send_command(*command, check_health=False)
            return cast("list[bytes | None]", self._connection.read_response())
        except RedisError:
            self._connection.disconnect()  # an answer that is still to come is not the next command's
            raise


class SharedCache(BaseCache):
    """Keys and values in Redis; every failure reads as "not there"."""

    def __init__(self, redis: Redis, default_timeout: int = 300) -> None:
        super().__init__(default_timeout=default_timeout)
        self._redis = redis
        self._line = Line(redis)
        self._is_down = False
        self._missed_forgetting = False
        self._asked_again_at = 0.0

    @classmethod
    def factory(
        cls,
        app: Flask,
        config: dict[str, Any],
        args: list[Any],  # noqa: ARG003 - Flask-Caching calls it so
        kwargs: dict[str, Any],  # noqa: ARG003
    ) -> "SharedCache":
        redis = Redis.from_url(
            app.config["REDIS_URL"],
            socket_timeout=SOCKET_TIMEOUT,
            socket_connect_timeout=SOCKET_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        return cls(redis, config["CACHE_DEFAULT_TIMEOUT"])

    def run(self, command: Callable[[Redis], T], *, is_urgent: bool = False) -> T | None:
        """Return what `command` gets from Redis, or None while Redis is away.

        After a failure only urgent commands are tried for a while; it is logged once.
        """
        if self._is_down and not is_urgent and time.monotonic() < self._asked_again_at:
            return None
        try:
            if self._is_down or self._missed_forgetting:
                # What was committed meanwhile could not be announced, by us or by others.
                self._redis.delete(*self._version_keys())
                self._missed_forgetting = False
            result = command(self._redis)
        except RedisError as error:
            self._asked_again_at = time.monotonic() + PAUSE
            if not self._is_down:
                logger.warning("Redis is away, every page is made anew for each visitor: %s", error)
            self._is_down = True
            return None
        if self._is_down:
            logger.warning("Redis is back, pages are cached again")
        self._is_down = False
        return result

    def _version_keys(self) -> list[str]:
        return [_version_key(subject) for subject in SUBJECTS]

    # --- Versions ---------------------------------------------------------------------------

    def read(self, subjects: Sequence[str], *keys: str) -> tuple[str | None, list[bytes | None]]:
        """Return the label that the subjects have now, and raw values, in one round trip.

        Without Redis the label is None: nothing may be kept under it.
        """
        names = [*map(_version_key, subjects), *(PREFIX + key for key in keys)]
        found = self.run(lambda _redis: self._line.ask("MGET", *names))
        if found is None:
            return None, [None] * len(keys)
        words = found[: len(subjects)]
        if None in words:
            return self._begin(subjects), [None] * len(keys)
        return b".".join(cast("list[bytes]", words)).decode(), found[len(subjects) :]

    def _begin(self, subjects: Sequence[str]) -> str | None:
        """Give the subjects that have no word one, as in an emptied Redis, and return the label."""

        def give(redis: Redis) -> list[bytes | None]:
            with redis.pipeline(transaction=False) as pipeline:
                for subject in subjects:
                    pipeline.set(_version_key(subject), secrets.token_hex(8), nx=True)
                pipeline.mget([_version_key(subject) for subject in subjects])
                return cast("list[bytes | None]", pipeline.execute()[-1])

        words = self.run(give)
        if words is None or None in words:
            return None
        return b".".join(cast("list[bytes]", words)).decode()

    def label(self, *subjects: str) -> str | None:
        """Return the label that the subjects have now; None without Redis."""
        return self.read(subjects)[0]

    def forget(self, subjects: Iterable[str]) -> None:
        """Let nothing that was made of these subjects so far be served any more, by any process."""
        words = {_version_key(subject): secrets.token_hex(8) for subject in subjects}
        if words and self.run(lambda redis: redis.mset(words), is_urgent=True) is None:
            self._missed_forgetting = True

    # --- What Flask-Caching asks for ----------------------------------------------------------

    def get(self, key: str) -> Any:
        return self.get_many(key)[0]

    def get_many(self, *keys: str) -> list[Any]:
        return [None if raw is None else json.loads(raw) for raw in self.read((), *keys)[1]]

    def set(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        return self.put(key, json.dumps(value, ensure_ascii=False).encode(), self._normalize_timeout(timeout))

    def put(self, key: str, value: bytes, timeout: float | None = None) -> bool:
        """Keep bytes as they are, for `timeout` seconds."""
        milliseconds = int(1000 * (timeout or self.default_timeout))
        return bool(self.run(lambda redis: redis.set(PREFIX + key, value, px=max(1, milliseconds))))

    def add(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Keep a value unless there is one; whether it was kept."""
        raw = json.dumps(value, ensure_ascii=False)
        seconds = self._normalize_timeout(timeout) or self.default_timeout
        return bool(self.run(lambda redis: redis.set(PREFIX + key, raw, ex=seconds, nx=True)))

    def set_many(self, mapping: dict[str, Any], timeout: int | timedelta | None = None) -> list[Any]:
        return [key for key, value in mapping.items() if self.set(key, value, timeout)]

    def has(self, key: str) -> bool:
        return bool(self.run(lambda redis: redis.exists(PREFIX + key)))

    def delete(self, key: str) -> bool:
        return bool(self.run(lambda redis: redis.delete(PREFIX + key)))

    def delete_many(self, *keys: str) -> list[str]:
        return [key for key in keys if self.delete(key)]

    def clear(self) -> bool:
        def empty(redis: Redis) -> bool:
            for key in redis.scan_iter(f"{PREFIX}*", count=1000):
                redis.delete(key)
            return True

        return bool(self.run(empty))


# What cached things are made of.
ARTICLES = "articles"
CLIENTS = "clients"
MAILINGS = "mailings"
VIEWS = "views"
SUBJECTS = (ARTICLES, CLIENTS, MAILINGS, VIEWS)


def _version_key(subject: str) -> str:
    return f"{PREFIX}version:{subject}"
