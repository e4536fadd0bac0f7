"""Run only one slow view per user at a time, so that other users are not affected."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

from flask_login import current_user
from redis import RedisError
from redis.lock import Lock
from werkzeug.exceptions import TooManyRequests

from skymailing import queue
from skymailing.db.engine import starts_reading
from skymailing.extensions import limiter

logger = logging.getLogger(__name__)

RATE = "300 per minute"
# One request of each user runs, and the others wait for it, each for at most WAIT seconds.
PLACES = 3
WAIT = 10  # seconds
WAIT_FOR_PLACE = 1.0  # seconds; requests that the browser has abandoned may still be running
MAX_SECONDS = 60  # after which the place of a dead request is free again

V = TypeVar("V", bound=Callable[..., Any])


def get_user_key() -> str:
    """Return the key under which the signed-in user's requests are counted."""
    return str(current_user.get_id()).partition(".")[0]


def takes_turns(view: V) -> V:
    """Decorate a slow view of signed-in users: limit its rate, and run one such view per user at a time.

    Further requests wait for their turn, or get 429 if several are already waiting. While Redis is down,
    there is no limit. On SQLite, the view starts without the write lock (`starts_reading`).
    """

    @wraps(view)
    def limited(*args: Any, **kwargs: Any) -> Any:
        with take_turn(get_user_key()):
            return view(*args, **kwargs)

    limit = limiter.shared_limit(RATE, scope="user_turns", key_func=get_user_key)
    return cast(V, starts_reading(limit(limited)))


@contextmanager
def take_turn(user: str) -> Iterator[None]:
    """Wait for the user's turn; raises TooManyRequests if several requests are waiting already."""
    held: list[Lock] = []
    try:
        try:
            _acquire(user, held)
        except RedisError as error:
            logger.warning("Redis is down; slow requests are not limited: %s", error)
        yield
    finally:
        for lock in reversed(held):
            _release(lock)


def _acquire(user: str, held: list[Lock]) -> None:
    redis = queue.connection()
    deadline = time.monotonic() + WAIT_FOR_PLACE
    while not held:
        for place in range(PLACES):
            lock = redis.lock(f"skymailing:user-turns:{user}:{place}", timeout=MAX_SECONDS)
            if lock.acquire(blocking=False):
                held.append(lock)
                break
        else:
            if time.monotonic() > deadline:
                raise TooManyRequests(retry_after=1)
            time.sleep(0.05)
    turn = redis.lock(f"skymailing:user-turns:{user}:turn", timeout=MAX_SECONDS, sleep=0.02)
    if not turn.acquire(blocking_timeout=WAIT):
        raise TooManyRequests(retry_after=1)
    held.append(turn)


def _release(lock: Lock) -> None:
    try:
        lock.release()
    except RedisError as error:  # the lock has expired, or Redis is down and the lock will expire
        logger.warning("The turn of a slow request could not be released: %s", error)
