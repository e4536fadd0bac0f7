"""Process a POST request with an Idempotency-Key once, and replay its response to repeated requests."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Response, g, request

from skymailing.api import idempotency
from skymailing.api.idempotency import StoredResponse
from skymailing.api.views.authentication import current_access
from skymailing.caching.invalidation import shared_cache
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing
from skymailing.extensions import db

if TYPE_CHECKING:
    from redis import Redis

HEADER = "Idempotency-Key"
MAX_STORED = 100 * 2**20  # bytes of stored responses per owner and day, so that no program can fill the disk
DAY = 86_400  # seconds
STORED_HEADERS = ("Content-Type", "Location", "ETag")


def process_once(key: str, attempt: Callable[[], Response]) -> Response:
    """Return the response of `attempt`, and commit it together with the change that `attempt` made.

    Only successes are stored: after an error, nothing has changed, so the program may correct the request, or
    repeat it later. Beyond MAX_STORED, a response is stored without its body.
    """
    idempotency.check_key(key)
    access = current_access()
    stored_key = key if access.is_live else idempotency.mark_test_key(key)
    request_hash = idempotency.hash_request(request.method, request.full_path, request.get_data())
    counter = f"api-responses:{access.owner_id}:{int(utcnow().timestamp()) // DAY}"
    has_room = _has_room(counter)
    start_writing()
    claimed = idempotency.claim(access.owner_id, stored_key, request_hash, utcnow())
    db.session.commit()
    g.may_write = False
    if isinstance(claimed, StoredResponse):
        response = Response(claimed.body, claimed.status, headers=dict(claimed.headers))
        response.headers["Idempotency-Replayed"] = "true"
        return response
    try:
        response = attempt()
    except Exception:  # any error: release the key, so that a retry need not wait for the lease to expire
        db.session.rollback()
        idempotency.release(claimed)
        db.session.commit()
        raise
    if not 200 <= response.status_code < 300:
        idempotency.release(claimed)
        db.session.commit()
        return response
    body = response.get_data() if has_room else b""
    if body and (hidden := g.pop("hidden_when_repeated", "")):
        body = _hide(body, hidden)
    stored = [[name, response.headers[name]] for name in STORED_HEADERS if name in response.headers]
    idempotency.store(claimed, StoredResponse(response.status_code, stored, body))
    db.session.commit()
    _add_stored(counter, len(body))
    return response


def _has_room(name: str) -> bool:
    """Return whether the body of another response may be stored; True while Redis is down."""
    used = shared_cache().run(lambda redis: redis.get(name))
    return int(used or 0) <= MAX_STORED


def _add_stored(name: str, size: int) -> None:
    def add(redis: "Redis") -> None:
        with redis.pipeline(transaction=False) as pipeline:
            pipeline.incrby(name, size)
            pipeline.expire(name, DAY)
            pipeline.execute()

    shared_cache().run(add)


def _hide(body: bytes, name: str) -> bytes:
    return json.dumps(json.loads(body) | {name: None}, ensure_ascii=False).encode()


def hide_when_repeated(name: str) -> None:
    """Replace a secret field of the response with null."""
    g.hidden_when_repeated = name
