"""ETags: digests of representations, against repeated reads and lost updates."""

import hashlib
from typing import Any

from flask import Response, jsonify, request
from marshmallow import Schema

from skymailing.api.problems import ApiError


def etag_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:24]


def add_etag(response: Response) -> Response:
    """Set the ETag of a complete response; respond with 304 if a GET request's If-None-Match contains it."""
    if response.status_code in (200, 201) and not response.is_streamed:
        response.set_etag(etag_of(response.get_data()))
        if request.method in ("GET", "HEAD"):
            response.make_conditional(request)
    return response


def check_if_match(schema: Schema, item: Any) -> None:
    """Raise ApiError if If-Match names another version of the item, which the caller has locked.

    Without an item, no value matches, not even * (RFC 9110, section 13.1.1).
    """
    if "If-Match" not in request.headers:
        return
    if item is None:
        raise ApiError(412, "changed")
    current = etag_of(jsonify(schema.dump(item)).get_data())
    if not request.if_match.contains(current):
        raise ApiError(412, "changed")
