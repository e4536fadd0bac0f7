"""Count sign-ups over a sliding period: in Redis for all processes, in memory while Redis is down.

While Redis is down, each process counts separately: limits are a few times higher, but they still work and do
not block everyone. The limit that protects strangers' mailboxes is in the database (`requests.py`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flask import current_app

from skymailing.caching.backend import PREFIX
from skymailing.caching.invalidation import shared_cache

if TYPE_CHECKING:
    from redis import Redis

PERIOD = 3600  # seconds
MAX_IN_MEMORY = 10_000  # counters
EXTENSION = "skymailing_signup_counts"  # in app.extensions: counters while Redis is down


def count(keys: Sequence[str], now: datetime) -> list[float]:
    """Count one use of each key; return its uses in the last hour, including this one."""
    return _measure(keys, now, increment=1)


def peek(keys: Sequence[str], now: datetime) -> list[float]:
    """Return the uses of each key in the last hour."""
    return _measure(keys, now, increment=0)


def _measure(keys: Sequence[str], now: datetime, increment: int) -> list[float]:
    """Return the uses in this clock hour, plus the share of the previous hour's uses within the period."""
    period, elapsed = divmod(now.timestamp(), PERIOD)
    share = 1 - elapsed / PERIOD
    names = [(f"{key}:{int(period)}", f"{key}:{int(period) - 1}") for key in keys]
    found = shared_cache().run(lambda redis: _count_in_redis(redis, names, increment))
    if found is None:
        found = _count_in_memory(names, increment)
    return [current + earlier * share for current, earlier in found]


def _count_in_redis(redis: "Redis", names: list[tuple[str, str]], increment: int) -> list[tuple[int, int]]:
    with redis.pipeline(transaction=False) as pipeline:
        if increment:
            for current, _earlier in names:
                pipeline.incrby(_make_key(current), increment)
                pipeline.expire(_make_key(current), 2 * PERIOD)
        pipeline.mget([_make_key(name) for pair in names for name in pair])
        found = [int(count or 0) for count in pipeline.execute()[-1]]
    return list(zip(found[::2], found[1::2], strict=True))


def _make_key(name: str) -> str:
    return f"{PREFIX}signup:{name}"


def _count_in_memory(names: list[tuple[str, str]], increment: int) -> list[tuple[int, int]]:
    counters: dict[str, int] = current_app.extensions.setdefault(EXTENSION, {})
    if len(counters) > MAX_IN_MEMORY:
        counters.clear()
    for current, _earlier in names:
        counters[current] = counters.get(current, 0) + increment
    return [(counters[current], counters.get(earlier, 0)) for current, earlier in names]
