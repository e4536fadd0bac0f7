"""Process a POST request with an Idempotency-Key once, and repeat its response."""

import json
from collections.abc import Callable

from flask import Response, g, request

from skymailing.api import idempotency
from skymailing.api.idempotency import StoredResponse
from skymailing.api.views.authentication import current_access
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing
from skymailing.extensions import db

HEADER = "Idempotency-Key"
STORED_HEADERS = ("Content-Type", "Location", "ETag")


def process_once(key: str, attempt: Callable[[], Response]) -> Response:
    """Return the response of `attempt`, which has not been committed yet; commits it with its change.

    Only successes are stored: after an error nothing has changed, so the program may correct the request,
    or repeat it once the cause is gone.
    """
    idempotency.check_key(key)
    access = current_access()
    stored_key = key if access.is_live else idempotency.mark_test_key(key)
    request_hash = idempotency.hash_request(request.method, request.full_path, request.get_data())
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
    except Exception:  # any error: the program can repeat the request at once, not after the lease
        db.session.rollback()
        idempotency.release(claimed)
        db.session.commit()
        raise
    if not 200 <= response.status_code < 300:
        idempotency.release(claimed)
    else:
        body = response.get_data()
        if hidden := g.pop("hidden_when_repeated", ""):
            body = json.dumps(json.loads(body) | {hidden: None}, ensure_ascii=False).encode()
        stored = [[name, response.headers[name]] for name in STORED_HEADERS if name in response.headers]
        idempotency.store(claimed, StoredResponse(response.status_code, stored, body))
    db.session.commit()
    return response


def hide_when_repeated(name: str) -> None:
    """Store null instead of this field of the response, which is a secret."""
    g.hidden_when_repeated = name
