"""Numbers that all processes add to and /metrics shows: kept in Redis, and no worse than lost with it."""

import logging
from collections.abc import Mapping
from typing import cast

from redis import RedisError

from skymailing import queue

logger = logging.getLogger(__name__)

KEY = "skymailing:counters"


def add(amounts: Mapping[str, float]) -> None:
    """Add to counters by name."""
    try:
        with queue.connection().pipeline(transaction=False) as pipeline:
            for name, amount in amounts.items():
                pipeline.hincrbyfloat(KEY, name, amount)
            pipeline.execute()
    except RedisError as error:
        logger.info("Redis is away, nothing is counted: %s", error)


def put(name: str, value: float) -> None:
    """Set a number that is a state, not a count."""
    try:
        queue.connection().hset(KEY, name, str(value))
    except RedisError as error:
        logger.info("Redis is away, %s is not told: %s", name, error)


def read() -> dict[str, float]:
    """Return all numbers by name; raises RedisError."""
    raw = cast("dict[bytes, bytes]", queue.connection().hgetall(KEY))
    return {name.decode(): float(value) for name, value in raw.items()}
