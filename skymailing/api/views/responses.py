"""Respond with problems (RFC 9457) instead of error pages, and set the headers of every response."""

import json
from typing import Any

from flask import Response, make_response
from werkzeug.exceptions import HTTPException

from skymailing.api.problems import ApiError, Problem, describe
from skymailing.errors import IllegalTransition, UserError

PROBLEM_TYPE = "application/problem+json"
# The codes of errors that Flask itself raises.
HTTP_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "not_json",
    429: "busy",
    500: "internal",
    503: "unavailable",
}


def json_response(value: Any, status: int = 200) -> Response:
    """Return a JSON response without a schema."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, mimetype="application/json")


def problem_response(error: UserError | IllegalTransition | HTTPException) -> Response:
    """Return the problem for any error; internal errors are described without details."""
    if isinstance(error, HTTPException):
        return http_error_response(error)
    return write_problem(describe(error))


def http_error_response(error: HTTPException) -> Response:
    if error.response is not None:
        return make_response(error.get_response())
    status = error.code or 500
    problem = describe(
        ApiError(status, HTTP_CODES.get(status, "bad_request" if status < 500 else "internal"))
    )
    response = write_problem(problem)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def write_problem(problem: Problem) -> Response:
    response = json_response(problem.to_json(), problem.status)
    response.mimetype = PROBLEM_TYPE
    response.headers.update(problem.headers)
    return response
