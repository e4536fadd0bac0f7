"""How many letters a second may be begun: per route, per mailing, per recipient domain.

Counted in Redis, so that all workers share one allowance. While Redis is away each worker keeps to its
own part of it.
"""

import logging
import time

from flask import current_app
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter
from redis import RedisError

logger = logging.getLogger(__name__)

REDIS_PAUSE = 5.0  # seconds without asking a Redis that was away: one that hangs takes its time each time


class Rates:
    """The allowances of one worker's configuration; a rate of None is no limit."""

    def __init__(self, route: int | None, mailing: int | None, domain: int | None) -> None:
        config = current_app.config
        self._limits = {"domain": domain, "mailing": mailing, "route": route}
        self._share = max(1, config["WORKERS"])
        self._shared = FixedWindowRateLimiter(
            storage_from_string(config["RATELIMIT_STORAGE_URI"], **config["RATELIMIT_STORAGE_OPTIONS"])
        )
        self._alone = FixedWindowRateLimiter(MemoryStorage())
        self._alone_until = 0.0
        # Whether the mailing or the route had all its letters of a second.
        self.was_held_back = False
        # The domains that had theirs, of the second that is counted.
        self._second = 0
        self._full_domains: set[str] = set()

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit to ask about."""
        return any(self._limits.values())

    @property
    def per_domain(self) -> int | None:
        """How many letters a second a recipient domain may get."""
        return self._limits["domain"]

    def largest_window(self, wished: int) -> int:
        """Return how many letters are worth claiming at once."""
        rates = [rate for name, rate in self._limits.items() if rate and name != "domain"]
        return min([wished, *rates])

    def allow(self, route: str, mailing_id: int, recipient: str) -> bool:
        """Whether a letter to this address may be begun now; takes it off the allowances if so."""
        domain = domain_of(recipient)
        # The narrowest first: what it refuses costs the wider ones nothing.
        if not self.has_room(domain):
            return False
        if (rate := self._limits["domain"]) and not self._hit("domain", domain, rate):
            self._full_domains.add(domain)
            return False
        names = {"mailing": str(mailing_id), "route": route}
        allowed = all(
            self._hit(kind, name, rate) for kind, name in names.items() if (rate := self._limits[kind])
        )
        self.was_held_back |= not allowed
        return allowed

    def has_room(self, domain: str) -> bool:
        """Whether the domain may get more letters in this second, as far as this worker knows."""
        if (second := int(time.time())) != self._second:
            self._second = second
            self._full_domains.clear()
        return domain not in self._full_domains

    def wait_if_held_back(self) -> None:
        """Sleep until there is a new allowance, if the last one was used up."""
        if self.was_held_back:
            wait_for_next_second()
        self.was_held_back = False

    def _hit(self, kind: str, name: str, rate: int) -> bool:
        # With the second in the key, all workers' seconds begin together, whenever their first letter came.
        key = ("skymailing-rate", kind, name, str(int(time.time())))
        if time.monotonic() >= self._alone_until:
            try:
                return self._shared.hit(RateLimitItemPerSecond(rate), *key)
            except RedisError as error:
                logger.info("Redis is away, each worker keeps to its share of the rate: %s", error)
                self._alone_until = time.monotonic() + REDIS_PAUSE
        return self._alone.hit(RateLimitItemPerSecond(max(1, rate // self._share)), *key)


def domain_of(address: str) -> str:
    """Return the part of an address by which its rate is limited."""
    return address.rpartition("@")[2].lower()


def wait_for_next_second() -> None:
    """Sleep until the next second begins, in which all have new allowances."""
    time.sleep(1 - time.time() % 1)
