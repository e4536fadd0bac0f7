"""One line for each request, and an id by which its other lines are found.

The id is always our own: one that came with the request could be anybody's, or hold anything. The
line names the route and the numbers in it, never the address as it was asked for, which may hold a
token, or somebody's e-mail in a search.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.wsgi import ClosingIterator

from skymailing.logs import context

logger = logging.getLogger("skymailing.requests")

HEADER = "X-Request-ID"
NOTED = "skymailing.noted"  # in the WSGI environment: the route and the ids of a request
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}  # others may be anything
UNMATCHED = "(no such page)"
KEPT = "(kept page)"

Environment = dict[str, Any]


def configure(app: Flask) -> None:
    """Put the log around everything that answers; called last."""
    app.wsgi_app = AccessLog(app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way
    app.after_request(note_request)


def note_request(response: Response) -> Response:
    """Tell the line what was asked for, and by whom if a view has looked at that anyway."""
    rule = request.url_rule
    ids = {name: value for name, value in (request.view_args or {}).items() if isinstance(value, int)}
    user = g.get("_login_user")
    if user is not None and user.is_authenticated:
        ids["user_id"] = user.id
    request.environ[NOTED] = (rule.rule if rule else UNMATCHED, ids)
    return response


class AccessLog:
    """Writes down each request once its answer has gone."""

    def __init__(self, wsgi_app: Callable[..., Iterable[bytes]]) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        request_id = secrets.token_hex(8)
        context.begin(request_id=request_id)
        begun = time.perf_counter()
        answer = {"status": "500"}

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            answer["status"] = status
            return start_response(status, [*headers, (HEADER, request_id)], *rest)

        def finish() -> None:
            context.begin(request_id=request_id)  # another answer may have come between
            write_line(environ, int(answer["status"][:3]), time.perf_counter() - begun)
            context.begin()

        try:
            body = self.wsgi_app(environ, start)
        except BaseException:
            # Whatever ended it, the request has its line.
            finish()
            raise
        return ClosingIterator(body, finish)


def write_line(environ: Environment, status: int, seconds: float) -> None:
    """Log a request that was answered; one from the cache never met the routes.

    That one is told to who debugs alone: the line would take as long as the answer.
    """
    level = logging.INFO if NOTED in environ or status >= 400 else logging.DEBUG
    if not logger.isEnabledFor(level):
        return
    method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in METHODS else "OTHER"
    route, ids = environ.get(NOTED, (KEPT, {}))
    told = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
    logger.log(level, "%s %s %d %.1f ms", method, route, status, seconds * 1000, extra={"fields": told | ids})
