"""Text goes out packed by gzip to whoever takes it so.

A packed page that holds a secret beside what a stranger had put into it would tell the secret by its
length (BREACH). Here a stranger's page gets none of ours with the cookie: sessions are SameSite=Lax. And
the one secret of a page, its CSRF token, is signed anew with each second: there is no time to ask about it.
"""

import gzip

from flask import Flask, Response, request

LEVEL = 5  # the last few percent cost as much time again
LEAST = 600  # bytes; below that nothing is won
PACKED_TYPES = {
    *("text/html", "text/css", "text/javascript", "text/plain"),
    *("image/svg+xml", "application/json", "application/xml", "application/atom+xml"),
}


def configure(app: Flask) -> None:
    """Pack answers; called first of all, so that it runs after everything that changes them."""
    app.after_request(pack_response)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a request's Accept-Encoding allows gzip (RFC 9110, section 12.5.3)."""
    for part in accept_encoding.lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return quality.replace(" ", "").rstrip(".0") != "q="
    return False


def pack(body: bytes, level: int = LEVEL) -> bytes:
    """Return the body packed; the same body always gives the same bytes."""
    return gzip.compress(body, level, mtime=0)


def pack_response(response: Response) -> Response:
    """Pack a text answer that is there as a whole; streams and what is packed already stay as they are."""
    if response.mimetype not in PACKED_TYPES or response.is_streamed or response.direct_passthrough:
        return response
    if response.status_code < 200 or response.status_code in (204, 206, 304):
        return response
    response.vary.add("Accept-Encoding")
    if "Content-Encoding" in response.headers or not takes_gzip(request.headers.get("Accept-Encoding", "")):
        return response
    body = response.get_data()
    if len(body) < LEAST:
        return response
    response.set_data(pack(body))
    response.headers["Content-Encoding"] = "gzip"
    tag, is_weak = response.get_etag()
    if tag is not None and not is_weak:
        response.set_etag(tag, weak=True)  # of two forms of one page, which are not the same bytes
    return response
