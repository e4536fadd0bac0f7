"""Limit letters per second: per route, per mailing and per recipient domain.

A route's limit is the lower of MAIL_RATE and the pace that it has learned. Account letters count against it
too, but need not wait for mailings: if mailings have used up a period, a small share of account letters is
still sent and deducted from the next period.

Letters are counted in Redis, so that all workers share each limit. While Redis is unavailable, each worker
uses only its own share of the limit.
"""

import logging
import time
from datetime import datetime
from math import ceil

from flask import current_app
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter
from redis import RedisError

from skymailing.delivery.routing.pace import is_paused
from skymailing.delivery.routing.route_memory import RouteMemory

logger = logging.getLogger(__name__)

# Seconds to wait before the next request to an unavailable Redis; if it hangs, each request takes a full
# timeout.
REDIS_PAUSE = 5.0
# If a rate allows no more letters for this many seconds, a worker leaves them to the sweep.
LONG_WAIT = 20.0
# Fractional rates below this one are counted over several seconds.
LOW_RATE = 10.0
LOW_RATE_SECONDS = 4
ACCOUNT_SHARE = 10  # one in this many letters may be an account letter that does not wait for mailings


class PeriodLimit(RateLimitItemPerSecond):
    """A number of letters per period; some of them may already be counted in the previous period."""

    def get_expiry(self) -> int:
        return 2 * super().get_expiry()


class RateLimits:
    """The rate limits as one worker applies them; None means no limit."""

    def __init__(self, route: int | None, mailing: int | None, domain: int | None) -> None:
        config = current_app.config
        self._per_domain = domain
        self._limits: dict[str, float | None] = {"domain": domain, "mailing": mailing, "route": route}
        self._workers = max(1, config["WORKERS"])
        self._shared = FixedWindowRateLimiter(
            storage_from_string(config["RATELIMIT_STORAGE_URI"], **config["RATELIMIT_STORAGE_OPTIONS"])
        )
        self._alone = FixedWindowRateLimiter(MemoryStorage())
        self._alone_until = 0.0
        # Whether a limit held back the last window, and whether it was the pace.
        self.was_held_back = False
        self.was_held_back_by_pace = False
        # When routes and mailings that reached their limits may send again, in monotonic seconds.
        self._free_at: dict[tuple[str, str], float] = {}
        self._pace: float | None = None
        self._pause_seconds = 0.0
        # The domains that reached their limits in the current second.
        self._second = 0
        self._full_domains: set[str] = set()

    @property
    def is_limited(self) -> bool:
        """Whether any limit is set."""
        return self._pace is not None or any(self._limits.values())

    @property
    def per_domain(self) -> int | None:
        """The limit of letters per second and recipient domain."""
        return self._per_domain

    def limit_route(self, rate: float | None) -> None:
        """Set the limit of the route, in letters per second."""
        self._limits["route"] = rate

    def apply_memory(self, memory: RouteMemory, now: datetime) -> None:
        """Apply the pace and the pause that the route has learned, until the next call."""
        self._pace = memory.pace
        until = memory.paused_until if is_paused(memory.paused_until, now) else None
        self._pause_seconds = (until - now).total_seconds() if until else 0.0

    def cap_window(self, size: int) -> int:
        """Return `size`, reduced to the number of letters that may be sent at once."""
        limits = (self._limit_of(name) for name in self._limits if name != "domain")
        return min([size, *(item.amount for item in limits if item)])

    def allow(self, route: str, mailing_id: int, recipient: str) -> bool:
        """Return whether a letter to this address may start now; if so, count it."""
        domain = get_domain(recipient)
        # Check the narrowest limit first: a letter that it rejects does not count against the wider ones.
        if not self.has_room(domain):
            return False
        if not self._hit("domain", domain):
            self._full_domains.add(domain)
            return False
        return self._hit("mailing", str(mailing_id)) and self._hit("route", route)

    def allow_account_letter(self, route: str) -> bool:
        """Return whether an account letter may start now; if so, count it."""
        item = self._limit_of("route")
        if item is None or self._hit("route", route):
            return True
        share = PeriodLimit(max(1, item.amount // ACCOUNT_SHARE), item.multiples)
        period = int(time.time()) // item.multiples
        if not self._count(share, _make_key("account", route, period)):
            return False
        self._count(item, _make_key("route", route, period + 1))  # deducted from the mailings' next period
        self.was_held_back = self.was_held_back_by_pace = False
        self._free_at.pop(("route", route), None)
        return True

    def has_room(self, domain: str) -> bool:
        """Return whether the domain may receive more letters this second, as far as this worker knows."""
        if (second := int(time.time())) != self._second:
            self._second = second
            self._full_domains.clear()
        return domain not in self._full_domains

    def wait_if_held_back(self, route: str, mailing_id: int | None = None) -> float:
        """Sleep if the route or the mailing has reached its limit, until the end of this second at most.

        Return how many seconds of the wait are left.
        """
        now = time.monotonic()
        self._free_at = {key: at for key, at in self._free_at.items() if at > now}
        waits = [
            self._free_at.get(key, now) - now for key in (("route", route), ("mailing", str(mailing_id)))
        ]
        self.was_held_back = False
        self.was_held_back_by_pace = waits[0] > 0 and self._is_pace_the_limit()
        wait = max(*waits, self._pause_seconds)
        nap = min(wait, 1 - time.time() % 1)
        time.sleep(nap)
        return wait - nap

    def _limit_of(self, kind: str) -> PeriodLimit | None:
        """Return how many letters are allowed in how many seconds; None without a limit."""
        rate = self._limits[kind]
        if kind == "route" and self._pace is not None:
            rate = min(rate or self._pace, self._pace)
        if not rate:
            return None
        # A low rate is counted over a few seconds, so that 1.9 letters per second are not rounded down to
        # one.
        seconds = 1 if rate == int(rate) or rate >= LOW_RATE else max(LOW_RATE_SECONDS, ceil(1 / rate))
        return PeriodLimit(max(1, int(rate * seconds)), seconds)

    def _hit(self, kind: str, name: str) -> bool:
        """Return whether the limit allows another letter; if so, count it."""
        item = self._limit_of(kind)
        if item is None:
            return True
        # The number of the period is part of the key, so that it begins at the same time for all workers.
        seconds = item.multiples
        period = int(time.time()) // seconds
        if not (allowed := self._count(item, _make_key(kind, name, period))) and kind != "domain":
            self.was_held_back = True
            self.was_held_back_by_pace |= kind == "route" and self._is_pace_the_limit()
            self._free_at[kind, name] = time.monotonic() + (period + 1) * seconds - time.time()
        return allowed

    def _is_pace_the_limit(self) -> bool:
        """Return whether the pace, not MAIL_RATE, limits the route."""
        return self._pace is not None and self._pace <= (self._limits["route"] or self._pace)

    def _count(self, item: PeriodLimit, key: tuple[str, ...]) -> bool:
        if time.monotonic() >= self._alone_until:
            try:
                return self._shared.hit(item, *key)
            except RedisError as error:
                logger.info(
                    "Redis is unavailable; each worker limits itself to its share of the rate: %s", error
                )
                self._alone_until = time.monotonic() + REDIS_PAUSE
        share = PeriodLimit(max(1, item.amount // self._workers), item.multiples)
        return self._alone.hit(share, *key)


def _make_key(kind: str, name: str, period: int) -> tuple[str, ...]:
    return ("skymailing-rate", kind, name, str(period))


def get_domain(address: str) -> str:
    """Return the domain of an address in lowercase."""
    return address.rpartition("@")[2].lower()


def wait_for_next_second() -> None:
    """Sleep until the next second begins, when all counts start from zero."""
    time.sleep(1 - time.time() % 1)
