"""Limit the requests of each key, and report what is left (draft-ietf-httpapi-ratelimit-headers)."""

from typing import TYPE_CHECKING

from flask import Response, current_app, g

from skymailing.api.problems import ApiError
from skymailing.caching.invalidation import shared_cache
from skymailing.clock import utcnow
from skymailing.settings.quotas import quota_settings

if TYPE_CHECKING:
    from redis import Redis

WINDOW = 60  # seconds


def count_request(digest: str) -> bool:
    """Count a request of a key; return whether it is the first in this minute. Raises ApiError.

    It takes one round trip to Redis. While Redis is down, requests are not limited.
    """
    limit = quota_settings().api_requests_per_minute
    window, passed = divmod(int(utcnow().timestamp()), WINDOW)
    name = f"api-requests:{digest[:32]}:{window}"

    def count(redis: "Redis") -> int:
        with redis.pipeline(transaction=False) as pipeline:
            pipeline.incr(name)
            pipeline.expire(name, WINDOW)
            return int(pipeline.execute()[0])

    used = shared_cache().run(count)
    if used is None:
        return True
    if not limit:
        return used == 1
    left, seconds = max(0, limit - used), WINDOW - passed
    g.rate_limit = {
        "RateLimit-Policy": f'"default";q={limit};w={WINDOW}',
        "RateLimit": f'"default";r={left};t={seconds}',
    }
    if used > limit and current_app.config["RATELIMIT_ENABLED"]:
        raise ApiError(429, "rate_limit", {"Retry-After": str(seconds)}, seconds=seconds)
    return used == 1


def add_headers(response: Response) -> Response:
    response.headers.update(g.get("rate_limit", {}))
    return response
