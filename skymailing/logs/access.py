"""Log one line per request, with a request ID that is in all other log lines of the request.

We always create the ID: one sent with the request could be forged or contain anything. The line has the
route and its IDs, never the requested URL, which may contain a token or, in a search, an email address.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, g, request
from sqlalchemy import inspect
from werkzeug.wsgi import ClosingIterator

from skymailing.logs import context

logger = logging.getLogger("skymailing.requests")

HEADER = "X-Request-ID"
ROUTE = "skymailing.route"  # in the WSGI environment: a request's route and IDs
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}  # a client may send any other word
UNMATCHED = "(no such page)"
CACHED_PAGE = "(cached page)"

Environment = dict[str, Any]


def configure(app: Flask) -> None:
    """Wrap the access log around all other WSGI layers; call this last."""
    app.wsgi_app = AccessLog(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents it
    app.after_request(record_route)


def record_route(response: Response) -> Response:
    """Record the route, and the user if the view has loaded one, for the log line."""
    rule = request.url_rule
    ids = {name: value for name, value in (request.view_args or {}).items() if isinstance(value, int)}
    # After a commit, reading the user's attributes would need the database, which may be unavailable by now.
    user = inspect(g.get("_login_user"), raiseerr=False)
    if user is not None and user.identity:
        ids["user_id"] = user.identity[0]
    request.environ[ROUTE] = (rule.rule if rule else UNMATCHED, ids)
    return response


class AccessLog:
    """WSGI middleware: logs each request after its response has been sent."""

    def __init__(self, wsgi_app: Callable[..., Iterable[bytes]]) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        request_id = secrets.token_hex(8)
        context.reset(request_id=request_id)
        started = time.perf_counter()
        response = {"status": "500"}

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            response["status"] = status
            return start_response(status, [*headers, (HEADER, request_id)], *rest)

        def finish() -> None:
            context.reset(request_id=request_id)  # the thread may have served another request in between
            log_request(environ, int(response["status"][:3]), time.perf_counter() - started)
            context.reset()

        try:
            body = self.wsgi_app(environ, start)
        except BaseException:  # every request is logged, even one that ends with an error
            finish()
            raise
        return ClosingIterator(body, finish)


def log_request(environ: Environment, status: int, seconds: float) -> None:
    """Log a finished request, at level DEBUG if its page came from the cache.

    Writing that line would take as long as the response itself. A cached page has no route.
    """
    level = logging.INFO if ROUTE in environ or status >= 400 else logging.DEBUG
    if not logger.isEnabledFor(level):
        return
    method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in METHODS else "OTHER"
    route, ids = environ.get(ROUTE, (CACHED_PAGE, {}))
    fields = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
    logger.log(
        level, "%s %s %d %.1f ms", method, route, status, seconds * 1000, extra={"fields": fields | ids}
    )
