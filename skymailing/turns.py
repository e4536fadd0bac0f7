"""Let owners take turns: decide whose letters a worker sends next.

Each run has an entry per worker that may send its letters. Each entry has a virtual start time, and the
entry with the earliest one is served first. Adding an entry delays its owner's next start time by one
second. Afterwards, this is corrected to the time that the worker really spent, including rendering. So an
owner with hundreds of runs or with slow letters gets the same share as an owner with one letter, who is
served next (start-time fair queueing).

The entries are hints, like everything in Redis: while it is down, no turns are stored, and the sweep adds
missing entries later.

Transactional letters are sent before all mailings, because a person is often waiting for them. Their number
is limited by their owner's quotas and by the API's rate limit. The time that they take is charged to their
owner.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redis import RedisError

from skymailing import queue

logger = logging.getLogger(__name__)

WAITING_KEY = "skymailing:turns"  # sorted by virtual start time
SPENT_KEY = "skymailing:turns:spent"  # by owner: the virtual start time of the owner's next entry
CLOCK = "skymailing:turns:clock"  # the virtual start time of the entry that was served last
LIFETIME = 86_400  # seconds after which these keys are removed if no letter is sent
COST = 1  # seconds that an entry costs in advance
BATCH = 500  # entries in one request to Redis

ADD = """
local clock = tonumber(redis.call('GET', KEYS[3]) or '0')
for i = 3, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    local owner = string.match(ARGV[i], '^%d+')
    local at = math.max(clock, tonumber(redis.call('HGET', KEYS[2], owner) or '0'))
    redis.call('HSET', KEYS[2], owner, string.format('%.6f', at + ARGV[2]))
    if string.match(ARGV[i], ':%-1$') then at = -1 end
    redis.call('ZADD', KEYS[1], string.format('%.6f', at), ARGV[i])
  end
end
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[1]) end
"""
TAKE = """
local popped = redis.call('ZPOPMIN', KEYS[1])
if #popped == 0 then return false end
if tonumber(popped[2]) >= 0 then redis.call('SET', KEYS[2], popped[2], 'EX', ARGV[1]) end
return popped[1]
"""
PEEK = "return redis.call('ZRANGE', KEYS[1], 0, 0)[1]"
CHARGE = "redis.call('HINCRBYFLOAT', KEYS[1], ARGV[1], ARGV[2])"


URGENT = -1  # the slot of transactional letters, as in ADD


@dataclass(frozen=True, slots=True)
class Turn:
    """A worker's turn to send letters of a run."""

    owner_id: int
    run_id: int
    slot: int

    @property
    def is_urgent(self) -> bool:
        return self.slot == URGENT

    def __str__(self) -> str:
        return f"{self.owner_id}:{self.run_id}:{self.slot}"


def add(turns: Sequence[Turn]) -> None:
    """Add turns that are not waiting yet."""
    for start in range(0, len(turns), BATCH):
        entries = [str(turn) for turn in turns[start : start + BATCH]]
        _eval(ADD, [WAITING_KEY, SPENT_KEY, CLOCK], LIFETIME, COST, *entries)


def take() -> Turn | None:
    """Take the next waiting turn."""
    return _parse(_eval(TAKE, [WAITING_KEY, CLOCK], LIFETIME))


def peek() -> Turn | None:
    """Return the next turn without taking it."""
    return _parse(_eval(PEEK, [WAITING_KEY]))


def charge(turn: Turn, seconds: float) -> None:
    """Charge a turn's owner for the time that a worker spent on it."""
    _eval(CHARGE, [SPENT_KEY], turn.owner_id, f"{seconds - COST:.6f}")


def list_turns(runs: Iterable[tuple[int, int]], slots: int) -> list[Turn]:
    """Return the turns of runs, given as pairs of owner and run: first one of each run, then the rest."""
    pairs = list(runs)
    return [Turn(owner_id, run_id, slot) for slot in range(slots) for owner_id, run_id in pairs]


def _eval(script: str, keys: Sequence[str], *values: object) -> object:
    try:
        return queue.connection().eval(script, len(keys), *keys, *map(str, values))
    except RedisError as error:
        logger.info("Redis is unavailable; turns are not stored: %s", error)
        return None


def _parse(entry: object) -> Turn | None:
    return Turn(*map(int, entry.split(b":"))) if isinstance(entry, bytes) else None
