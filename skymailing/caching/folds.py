"""Write counts from Redis to the database in batches, each exactly once.

Such a batch is called a fold. First, its key is renamed, so that new counts go to a new key. Then the batch
and its name are written to the database in one transaction, and the renamed key is deleted. If the process
dies before that, the next sweep finds the renamed key, and the stored name shows whether the batch was
written.
"""

from datetime import timedelta
from typing import cast
from uuid import uuid4

from redis import Redis

from skymailing.caching.invalidation import shared_cache

# After a restore, Redis may still have a finished fold. Names are kept long enough to detect this.
NAME_RETENTION = timedelta(days=7)
START_FOLD = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[1] .. ':' .. ARGV[1])
  redis.call('SADD', KEYS[2], ARGV[1])
end
return redis.call('SMEMBERS', KEYS[2])
"""


def start_folds(key: str) -> list[str]:
    """Begin a fold of the counts in `key`; return the names of all folds that are not finished."""
    names = shared_cache().run(
        lambda redis: cast("list[bytes]", redis.eval(START_FOLD, 2, key, f"{key}:folds", uuid4().hex))
    )
    return [name.decode() for name in names or ()]


def fold_key(key: str, name: str) -> str:
    """Return the key of a fold's counts."""
    return f"{key}:{name}"


def finish_fold(key: str, name: str) -> None:
    """Delete a fold that has been written to the database."""

    def finish(redis: Redis) -> None:
        with redis.pipeline() as pipeline:
            pipeline.delete(fold_key(key, name))
            pipeline.srem(f"{key}:folds", name)
            pipeline.execute()

    shared_cache().run(finish)
