"""Flask-Caching's backend: one Redis for all processes. While Redis is down, pages are slower but work.

Values are JSON, never pickle, so that write access to Redis does not make it possible to run code.

A cached value may depend on versions: random strings in Redis, one per subject such as "articles".
Invalidating a subject replaces its version. A process reads the versions before it computes a value
and labels the value with them. So a value computed from old data is never taken for a current one, even if
its process is slow.
"""

import json
import logging
import math
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import Flask
from flask_caching.backends.base import BaseCache

# Commands that only read need no Redis, and importing it takes a while.
if TYPE_CHECKING:
    from redis import Redis

    from skymailing.caching.connection import ThreadConnection

logger = logging.getLogger(__name__)

T = TypeVar("T")

PREFIX = "skymailing:cache:"
RETRY_AFTER = 2.0  # seconds without a request to Redis after a failure
# How long a process uses a page's label before reading it again, so that a busy process reads it once for
# several requests. Each edit waits for this time.
LEASE_SECONDS = 0.002


class SharedCache(BaseCache):
    """Keys and values in Redis; every failure counts as a cache miss."""

    def __init__(self, url: str, default_timeout: int = 300) -> None:
        super().__init__(default_timeout=default_timeout)
        self._url = url
        self._is_down = False
        self._has_missed_invalidation = False
        self._retry_at = 0.0
        self._leases: dict[tuple[str, ...], tuple[str, float]] = {}  # labels, and when they were read

    @classmethod
    def factory(
        cls,
        app: Flask,
        config: dict[str, Any],
        args: list[Any],  # noqa: ARG003 - the signature is Flask-Caching's
        kwargs: dict[str, Any],  # noqa: ARG003
    ) -> "SharedCache":
        return cls(app.config["REDIS_URL"], config["CACHE_DEFAULT_TIMEOUT"])

    @cached_property
    def _redis(self) -> "Redis":
        from skymailing.caching.connection import connect

        return connect(self._url)

    @cached_property
    def _connection(self) -> "ThreadConnection":
        from skymailing.caching.connection import ThreadConnection

        return ThreadConnection(self._redis)

    def run(self, command: "Callable[[Redis], T]", *, is_urgent: bool = False) -> T | None:
        """Return the result of `command`, or None while Redis is unavailable.

        For RETRY_AFTER seconds after a failure, only urgent commands are tried. An outage is logged once.
        """
        from redis import RedisError

        if self._is_down and not is_urgent and time.monotonic() < self._retry_at:
            return None
        try:
            if self._is_down or self._has_missed_invalidation:
                # Commits during the outage could not invalidate anything, in this process or in others.
                self._redis.delete(*self._list_version_keys())
                self._has_missed_invalidation = False
            result = command(self._redis)
        except RedisError as error:
            self._retry_at = time.monotonic() + RETRY_AFTER
            if not self._is_down:
                logger.warning("Redis is unavailable; pages are rendered for each visitor: %s", error)
            self._is_down = True
            return None
        if self._is_down:
            logger.warning("Redis is available again; pages are cached")
        self._is_down = False
        return result

    def push(self, key: str, value: str) -> int | None:
        """Append a value to a list; return the list's length, or None while Redis is down."""
        return self.run(lambda _redis: cast("int", self._connection.execute("RPUSH", key, value)))

    def _list_version_keys(self) -> list[str]:
        return [_make_version_key(subject) for subject in SUBJECTS]

    # --- Versions ---------------------------------------------------------------------------

    def read(self, subjects: Sequence[str], *keys: str) -> tuple[str | None, list[bytes | None]]:
        """Return the current label of the subjects and the keys' raw values, in one round trip.

        While Redis is down, the label is None, and nothing may be cached.
        """
        names = [*map(_make_version_key, subjects), *(PREFIX + key for key in keys)]
        found = self.run(lambda _redis: self._connection.execute("MGET", *names))
        if found is None:
            return None, [None] * len(keys)
        versions = found[: len(subjects)]
        if None in versions:
            return self._create_versions(subjects), [None] * len(keys)
        return b".".join(cast("list[bytes]", versions)).decode(), found[len(subjects) :]

    def _create_versions(self, subjects: Sequence[str]) -> str | None:
        """Create missing versions, for example in an emptied Redis, and return the label."""

        def create(redis: "Redis") -> list[bytes | None]:
            with redis.pipeline(transaction=False) as pipeline:
                for subject in subjects:
                    pipeline.set(_make_version_key(subject), secrets.token_hex(8), nx=True)
                pipeline.mget([_make_version_key(subject) for subject in subjects])
                return cast("list[bytes | None]", pipeline.execute()[-1])

        versions = self.run(create)
        if versions is None or None in versions:
            return None
        return b".".join(cast("list[bytes]", versions)).decode()

    def label(self, *subjects: str) -> str | None:
        """Return the current label of the subjects; None while Redis is down."""
        return self.read(subjects)[0]

    def lease_label(self, subjects: tuple[str, ...]) -> str | None:
        """Return a label of the subjects that is at most LEASE_SECONDS old; None while Redis is down.

        `invalidate` returns only after all earlier leases have ended, so requests that follow an edit get the
        new label in every process.
        """
        started = time.monotonic()
        label, read_at = self._leases.get(subjects, ("", -math.inf))
        if started - read_at < LEASE_SECONDS:
            return label
        current = self.label(*subjects)
        if current is not None:
            self._leases[subjects] = (current, started)
        return current

    def invalidate(self, subjects: Collection[str]) -> None:
        """Prevent all processes from serving values cached so far that depend on these subjects."""
        versions = [
            text for subject in subjects for text in (_make_version_key(subject), secrets.token_hex(8))
        ]
        if not versions:
            return
        if self.run(lambda _redis: self._connection.execute("MSET", *versions), is_urgent=True) is None:
            self._has_missed_invalidation = True
        if not PAGE_SUBJECTS.isdisjoint(subjects):
            time.sleep(LEASE_SECONDS)

    # --- Flask-Caching's interface ------------------------------------------------------------

    def get(self, key: str) -> Any:
        return self.get_many(key)[0]

    def get_many(self, *keys: str) -> list[Any]:
        return [None if raw is None else json.loads(raw) for raw in self.read((), *keys)[1]]

    def set(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        raw = json.dumps(value, ensure_ascii=False).encode()
        return self.set_bytes(key, raw, self._normalize_timeout(timeout))

    def set_bytes(self, key: str, value: bytes, timeout: float | None = None) -> bool:
        """Store bytes unencoded, for `timeout` seconds."""
        milliseconds = max(1, int(1000 * (timeout or self.default_timeout)))
        command = ("SET", PREFIX + key, value, "PX", milliseconds)
        return bool(self.run(lambda _redis: self._connection.execute(*command)))

    def add(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:
        """Store a value unless the key exists; return whether it was stored."""
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
        def empty(redis: "Redis") -> bool:
            for key in redis.scan_iter(f"{PREFIX}*", count=1000):
                redis.delete(key)
            return True

        return bool(self.run(empty))


# The kinds of data that cached values depend on.
ARTICLES = "articles"
CLIENTS = "clients"
MAILINGS = "mailings"
FORMS = "forms"
VIEWS = "views"
ARCHIVES = "archives"
SUPPRESSIONS = "suppressions"
PAGE_SUBJECTS = {ARTICLES, CLIENTS, MAILINGS, FORMS, VIEWS, ARCHIVES}  # whole pages depend on them
SUBJECTS = (*PAGE_SUBJECTS, SUPPRESSIONS)


def _make_version_key(subject: str) -> str:
    return f"{PREFIX}version:{subject}"
