"""Limit letters per second: per route, per mailing and per recipient domain.

Letters are counted in Redis, so that all workers share each limit. While Redis is unavailable, each worker
uses only its own share of the limit.
"""

import logging
import time

from flask import current_app
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter
from redis import RedisError

logger = logging.getLogger(__name__)

# Seconds without a request to an unavailable Redis; if it hangs, each request takes a full timeout.
REDIS_PAUSE = 5.0


class RateLimits:
    """The rate limits as one worker applies them; None means no limit."""

    def __init__(self, route: int | None, mailing: int | None, domain: int | None) -> None:
        config = current_app.config
        self._limits = {"domain": domain, "mailing": mailing, "route": route}
        self._workers = max(1, config["WORKERS"])
        self._shared = FixedWindowRateLimiter(
            storage_from_string(config["RATELIMIT_STORAGE_URI"], **config["RATELIMIT_STORAGE_OPTIONS"])
        )
        self._alone = FixedWindowRateLimiter(MemoryStorage())
        self._alone_until = 0.0
        # Whether the mailing or the route reached its limit in the last window.
        self.was_held_back = False
        # The domains that reached their limits in the current second.
        self._second = 0
        self._full_domains: set[str] = set()

    @property
    def is_limited(self) -> bool:
        """Whether any limit is set."""
        return any(self._limits.values())

    @property
    def per_domain(self) -> int | None:
        """The limit of letters per second and recipient domain."""
        return self._limits["domain"]

    def cap_window(self, size: int) -> int:
        """Return `size`, reduced to the number of letters that may be sent within a second."""
        rates = [rate for name, rate in self._limits.items() if rate and name != "domain"]
        return min([size, *rates])

    def allow(self, route: str, mailing_id: int, recipient: str) -> bool:
        """Return whether a letter to this address may start now; if so, count it."""
        domain = get_domain(recipient)
        # The narrowest limit first: a letter that it rejects does not count against the wider ones.
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
        """Whether the domain may receive more letters this second, as far as this worker knows."""
        if (second := int(time.time())) != self._second:
            self._second = second
            self._full_domains.clear()
        return domain not in self._full_domains

    def wait_if_held_back(self) -> None:
        """Sleep until the next second if a limit was reached in this one."""
        if self.was_held_back:
            wait_for_next_second()
        self.was_held_back = False

    def _hit(self, kind: str, name: str, rate: int) -> bool:
        # The second is part of the key, so that it begins at the same time for all workers.
        key = ("skymailing-rate", kind, name, str(int(time.time())))
        if time.monotonic() >= self._alone_until:
            try:
                return self._shared.hit(RateLimitItemPerSecond(rate), *key)
            except RedisError as error:
                logger.info(
                    "Redis is unavailable; each worker limits itself to its share of the rate: %s", error
                )
                self._alone_until = time.monotonic() + REDIS_PAUSE
        return self._alone.hit(RateLimitItemPerSecond(max(1, rate // self._workers)), *key)


def get_domain(address: str) -> str:
    """Return the domain of an address, in lower case."""
    return address.rpartition("@")[2].lower()


def wait_for_next_second() -> None:
    """Sleep until the next second begins, when all counts start from zero."""
    time.sleep(1 - time.time() % 1)
