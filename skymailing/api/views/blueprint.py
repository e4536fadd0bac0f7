"""The blueprint of a resource, which performs the same steps for every operation.

Before the view, it checks the key, its rate limit and its scope. Around the view, it applies the schema and
the Idempotency-Key, commits the change together with the stored response, and turns errors into problems.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flask_smorest
from flask import Response, g, make_response, request
from marshmallow import Schema
from werkzeug.exceptions import HTTPException

from skymailing.api.scopes import Scope
from skymailing.api.views import authentication, etags, idempotency, rate_limits
from skymailing.api.views.bodies import Parser
from skymailing.api.views.responses import problem_response
from skymailing.db.engine import start_writing
from skymailing.errors import IllegalTransition, UserError
from skymailing.extensions import db

PREFIX = "/api/v1"
ENDPOINTS = "api_"  # the prefix of these blueprints' names, as pages have blueprints, too
BODY_LIMIT = 1024 * 1024  # bytes
# Error statuses that any operation can have.
ALWAYS = (400, 401, 403, 405, 429, 500, 503)
LIVE_ONLY = "x-live-key-only"  # marks operations that test keys may not perform
View = Callable[..., Any]


class Resource(flask_smorest.Blueprint):
    """The operations of one resource."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, name: str, description: str) -> None:
        self.limits: dict[str, int] = {}  # maximum bytes of a body, by operation
        super().__init__(ENDPOINTS + name, __name__, url_prefix=PREFIX, description=description)
        self.before_request(self._admit)
        self.after_request(rate_limits.add_headers)
        self.after_request(forbid_sharing)

    def _admit(self) -> None:
        operation = (request.endpoint or "").partition(".")[2]
        request.max_content_length = self.limits[operation]
        authentication.authenticate()

    def operation(
        self,
        rule: str,
        scope: Scope,
        *,
        takes: type[Schema] | None = None,
        query: type[Schema] | None = None,
        gives: type[Schema] | None = None,
        **options: Any,
    ) -> Callable[[View], View]:
        """Decorate a view with its method and path, the scope that it needs, and its schemas.

        Options: `status` of success, `also` (other statuses with the same content), `errors` (further
        statuses), `starts_reading` if the view calls `start_writing` itself after reading, `limit` for the
        bytes of the body, `body` to describe a body that is not JSON, and `tests` if test keys may perform an
        operation that is not a GET.
        """
        method, _space, path = rule.partition(" ")

        def decorate(view: View) -> View:
            name = view.__name__
            handler = self.response(options.get("status", 200), gives)(view)
            for other in options.get("also", ()):
                handler = self.alt_response(other, schema=gives)(handler)
            if takes is not None:
                handler = self.arguments(takes(), location="json")(handler)
            if query is not None:
                handler = self.arguments(query(), location="query")(handler)
            run = make_runner(handler, method, scope, options)
            errors = list_errors(method, path, takes is not None or query is not None, options)
            documented: View = self.doc(**describe_operation(name, method, scope, options, errors))(run)
            self.limits[name] = options.get("limit", BODY_LIMIT)
            self.route(path, methods=[method], endpoint=name)(documented)
            return documented

        return decorate


def describe_operation(
    name: str, method: str, scope: Scope, options: dict[str, Any], errors: Sequence[int]
) -> dict[str, Any]:
    """Return the parts of the OpenAPI document other than the schemas."""
    described: dict[str, Any] = {
        "operationId": name,
        "security": [{"key": [scope.value]}],
        "responses": {str(status): {"$ref": f"#/components/responses/{status}"} for status in errors},
    }
    if is_live_only(method, options):
        described[LIVE_ONLY] = True
    if "body" in options:
        described["requestBody"] = options["body"]
    return described


def list_errors(method: str, path: str, has_input: bool, options: dict[str, Any]) -> Sequence[int]:
    """Return the statuses of an operation's possible errors."""
    statuses = {*ALWAYS, *options.get("errors", ())}
    if "<" in path:
        statuses.add(404)
    if has_input or method == "POST":
        statuses.add(422)
    if method != "GET":
        statuses.add(413)
    if method in ("POST", "PUT", "PATCH"):
        statuses |= {409, 415}
    if method in ("PUT", "PATCH", "DELETE"):
        statuses |= {409, 412}
    return sorted(statuses)


def is_live_only(method: str, options: dict[str, Any]) -> bool:
    """Return whether test keys may not perform the operation."""
    return method != "GET" and not options.get("tests", False)


def make_runner(handler: View, method: str, scope: Scope, options: dict[str, Any]) -> View:
    """Return the view that Flask calls."""
    live_only = is_live_only(method, options)

    @functools.wraps(handler)
    def run(*args: Any, **kwargs: Any) -> Response:
        authentication.require_scope(scope)
        if live_only:
            authentication.require_live()
        if method == "GET":
            return etags.add_etag(make_response(handler(*args, **kwargs)))

        def attempt() -> Response:
            if not options.get("starts_reading", False):
                start_writing()
            return attempt_change(functools.partial(handler, *args, **kwargs))

        key = request.headers.get(idempotency.HEADER)
        if method == "POST" and key is not None:
            response = idempotency.process_once(key, attempt)
        else:
            response = attempt()
            db.session.commit()
        for follow_up in g.pop("follow_ups", ()):
            follow_up()
        return response

    run.scope = scope  # type: ignore[attr-defined]  # for the permission tests
    run.live_only = live_only  # type: ignore[attr-defined]  # likewise
    run.starts_reading = True  # type: ignore[attr-defined]  # see db.engine: the key is only read
    # Scripts of other sites get no permission to send requests (CORS).
    run.provide_automatic_options = False  # type: ignore[attr-defined]  # Flask reads it
    return run


def attempt_change(handler: Callable[[], Any]) -> Response:
    """Return the response to a change that is not committed yet; undo it if it failed."""
    try:
        return etags.add_etag(make_response(handler()))
    except (UserError, IllegalTransition, HTTPException) as error:
        db.session.rollback()
        g.pop("follow_ups", None)
        return problem_response(error)


def after_commit(follow_up: Callable[[], Any]) -> None:
    """Call a function once the change has been committed, for example to give hints to workers."""
    g.setdefault("follow_ups", []).append(follow_up)


def forbid_sharing(response: Response) -> Response:
    """Forbid shared caches to store a response, and require programs to revalidate their copy."""
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response
