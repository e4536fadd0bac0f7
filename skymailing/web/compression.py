"""Compress text responses with gzip.

The BREACH attack is not possible here. It needs a page that contains a secret and an attacker's text, and
that another site requests with the user's cookie. Our cookies are SameSite=Lax, so requests by other sites
carry no cookie. The only secret on a page, the CSRF token, is signed again every second.
"""

import gzip

from flask import Flask, Response, request

LEVEL = 5  # a higher level saves a few percent but doubles the time
MIN_LENGTH = 600  # bytes; compression gains nothing below
COMPRESSED_TYPES = {
    *("text/html", "text/css", "text/javascript", "text/plain"),
    *("image/svg+xml", "application/json", "application/xml", "application/atom+xml"),
}


def configure(app: Flask) -> None:
    """Compress responses. Call this first, so that it runs after every other change to a response."""
    app.after_request(compress_response)


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an Accept-Encoding header allows gzip (RFC 9110, section 12.5.3)."""
    for part in accept_encoding.lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return quality.replace(" ", "").rstrip(".0") != "q="
    return False


def compress(body: bytes, level: int = LEVEL) -> bytes:
    """Return the compressed body; equal bodies give equal bytes."""
    return gzip.compress(body, level, mtime=0)


def compress_response(response: Response) -> Response:
    """Compress a complete text response; leave streams and compressed responses alone."""
    if response.mimetype not in COMPRESSED_TYPES or response.is_streamed or response.direct_passthrough:
        return response
    if response.status_code < 200 or response.status_code in (204, 206, 304):
        return response
    response.vary.add("Accept-Encoding")
    if "Content-Encoding" in response.headers or not accepts_gzip(request.headers.get("Accept-Encoding", "")):
        return response
    body = response.get_data()
    if len(body) < MIN_LENGTH:
        return response
    response.set_data(compress(body))
    response.headers["Content-Encoding"] = "gzip"
    tag, is_weak = response.get_etag()
    if tag is not None and not is_weak:
        response.set_etag(tag, weak=True)  # the plain and the compressed page differ in their bytes
    return response
