"""Counters and gauges for /metrics, shared by all processes: stored in Redis, and lost with it."""

import logging
from collections.abc import Mapping
from typing import cast

from redis import RedisError

from skymailing import queue

logger = logging.getLogger(__name__)

KEY = "skymailing:counters"


def add(amounts: Mapping[str, float]) -> None:
    """Add amounts to counters by name."""
    try:
        with queue.connection().pipeline(transaction=False) as pipeline:
            for name, amount in amounts.items():
                pipeline.hincrbyfloat(KEY, name, amount)
            pipeline.execute()
    except RedisError as error:
        logger.info("Redis is unavailable; nothing is counted: %s", error)


def set_gauge(name: str, value: float) -> None:
    """Set a gauge to a value."""
    try:
        queue.connection().hset(KEY, name, str(value))
    except RedisError as error:
        logger.info("Redis is unavailable; %s is not set: %s", name, error)


def read() -> dict[str, float]:
    """Return all values by name; raises RedisError."""
    raw = cast("dict[bytes, bytes]", queue.connection().hgetall(KEY))
    return {name.decode(): float(value) for name, value in raw.items()}
