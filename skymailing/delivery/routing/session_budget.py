"""Share the sessions that a mail server allows among workers; they are counted in Redis for each route.

The sessions are not limited until the server refuses one while others are open. The number of open sessions
then becomes the limit. While workers want more, it grows by one a minute; once it is far above the number at
the last refusal, it is forgotten (AIMD, like the pace). Workers that have sessions or wait for one get equal
shares, and the first ones get the remainder. A worker with account letters counts as the first one.

The server decides, so a wrong count costs no more than a refused session. A killed worker's sessions are
free after a few seconds. While Redis is down, each worker only knows its own sessions.
"""

import json
import logging
import time
from dataclasses import astuple, dataclass

from redis import RedisError
from redis.client import Pipeline

from skymailing import queue
from skymailing.settings.engine import EngineSettings

logger = logging.getLogger(__name__)

# Seconds after a worker's last request until its sessions count as free. A worker makes a request before each
# window, which takes about a second. With a slower server, other workers may be refused a session.
BUSY_SECONDS = 5.0
LIFETIME = 3600  # seconds after which the workers and the limit are forgotten if nothing has changed


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker that has sessions or waits for one."""

    joined: float  # 0 for a worker with account letters
    seen: float
    sessions: int


@dataclass(frozen=True, slots=True)
class Limit:
    """The number of sessions that all workers together may have."""

    sessions: int
    at_refusal: int
    changed_at: float


@dataclass(frozen=True, slots=True)
class Share:
    """The sessions that a worker may have now, and later, when other workers have closed some."""

    now: int
    later: int
    others: int  # sessions of the other workers, as far as known


class SessionBudget:
    """The sessions on a route as seen by one worker, the `holder`."""

    def __init__(
        self, route: str, holder: str, settings: EngineSettings, max_sessions: int | None = None
    ) -> None:
        self._route = route
        self._holder = holder
        self._settings = settings
        self._max_sessions = max_sessions  # for all workers together, set by the owner; None: no such limit
        # The longest time between two requests of a worker that has sessions.
        self._lost_after = settings.window_seconds + settings.letter_seconds + BUSY_SECONDS
        self._joined: float | None = None  # when this worker began to have or want sessions
        self.is_limited = False

    def request(self, count: int, wanted: int, is_urgent: bool = False) -> Share:
        """Return this worker's share; it has `count` sessions and could use `wanted`."""
        self._joined = 0.0 if is_urgent else self._joined or time.time()
        holders, learned = self._report(count)
        limit = self._apply_own_limit(learned)
        self.is_limited = limit is not None
        others = {name: holder for name, holder in holders.items() if name != self._holder}
        in_use = sum(holder.sessions for holder in others.values())
        if limit is None:
            return Share(wanted, wanted, in_use)
        busy = {name: holder for name, holder in others.items() if _get_age(holder) <= BUSY_SECONDS}
        ahead = sum((other.joined, name) < (self._joined, self._holder) for name, other in busy.items())
        equal, left_over = divmod(limit.sessions, len(busy) + 1)
        quota = equal + (ahead < left_over)
        if wanted > quota and learned is not None:
            self._grow(learned)
        free = limit.sessions - sum(holder.sessions for holder in busy.values())
        return Share(max(0, min(wanted, quota, max(free, count))), min(wanted, quota), in_use)

    def _apply_own_limit(self, learned: Limit | None) -> Limit | None:
        """Return the lower of the limits that were learned from the server and set by its owner."""
        if self._max_sessions is None or (learned is not None and learned.sessions <= self._max_sessions):
            return learned
        return Limit(self._max_sessions, self._max_sessions, time.time())

    def note(self, count: int) -> None:
        """Record how many sessions this worker has now."""
        self._report(count)

    def learn(self, count: int, is_busy: bool) -> bool:
        """Record that only `count` sessions could be opened; return whether other workers may be the reason.

        `is_busy` means that the server may have refused only this session. Otherwise, only this worker's
        sessions prove that the server works. Workers without a session may be opening one right now.
        """
        if not count and not is_busy:
            return False
        holders, limit = self._report(count)
        open_count = sum(holder.sessions for holder in holders.values())
        if open_count and (limit is None or open_count < limit.sessions):
            self._set_limit(Limit(open_count, open_count, time.time()))
            logger.info("route %s allows %d sessions", self._route, open_count)
        return count > 0 or limit is not None or len(holders) > 1

    def leave(self) -> None:
        """Record that this worker has no sessions and wants none."""
        if self._joined is None:
            return
        self._joined = None
        try:
            queue.connection().hdel(_make_holders_key(self._route), self._holder)
        except RedisError as error:
            _warn(error)

    def has_room(self) -> bool:
        """Return whether another worker would get a session if it requested one."""
        holders, learned = self._read(queue.connection().pipeline())
        limit = self._apply_own_limit(learned)
        return limit is None or len(holders) < limit.sessions

    def _report(self, count: int) -> tuple[dict[str, Holder], Limit | None]:
        """Write this worker's entry; return the entries of all workers, and the limit."""
        key, entry = _make_holders_key(self._route), Holder(self._joined or 0.0, time.time(), count)
        pipeline = queue.connection().pipeline()
        pipeline.hset(key, self._holder, json.dumps(astuple(entry)))
        pipeline.expire(key, LIFETIME)
        return self._read(pipeline)

    def _read(self, pipeline: Pipeline) -> tuple[dict[str, Holder], Limit | None]:
        key = _make_holders_key(self._route)
        pipeline.hgetall(key)
        pipeline.get(_make_limit_key(self._route))
        try:
            *_, entries, limit = pipeline.execute()
            holders = {name.decode(): Holder(*json.loads(entry)) for name, entry in entries.items()}
            lost = [name for name, holder in holders.items() if _get_age(holder) > self._lost_after]
            for name in lost:
                queue.connection().hdel(key, name)
                del holders[name]
        except RedisError as error:
            _warn(error)
            return {}, None
        return holders, Limit(*json.loads(limit)) if limit else None

    def _grow(self, limit: Limit) -> None:
        if time.time() - limit.changed_at < self._settings.session_pause_seconds:
            return
        sessions = limit.sessions + 1
        if sessions > limit.at_refusal * self._settings.pace_forget_factor:
            forget(self._route)
        else:
            self._set_limit(Limit(sessions, limit.at_refusal, time.time()))

    def _set_limit(self, limit: Limit) -> None:
        try:
            queue.connection().set(_make_limit_key(self._route), json.dumps(astuple(limit)), ex=LIFETIME)
        except RedisError as error:
            _warn(error)


def forget(route: str) -> None:
    """Forget how many sessions the server allows, because it may have changed."""
    try:
        queue.connection().delete(_make_limit_key(route))
    except RedisError as error:
        _warn(error)


def _get_age(holder: Holder) -> float:
    return abs(time.time() - holder.seen)  # the clock may have been set back


def _make_holders_key(route: str) -> str:
    return f"skymailing:sessions:{route}"


def _make_limit_key(route: str) -> str:
    return f"skymailing:sessions:{route}:limit"


def _warn(error: RedisError) -> None:
    logger.info("Redis is unavailable; each worker only knows its own sessions: %s", error)
