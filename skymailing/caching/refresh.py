"""Render expired pages again, without waiting for a database that does not respond."""

import contextvars
import io
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any

logger = logging.getLogger(__name__)

MAX_WAIT = 2.0  # seconds that a visitor waits for a new page while there is an old one
RETRY_AFTER = 10.0  # seconds between two attempts while rendering takes longer than that

Environment = dict[str, Any]
WSGIApp = Callable[..., Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A complete response of the app that has not been sent yet."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class Refresher:
    """Renders pages in separate threads, so that a request can stop waiting for its page."""

    def __init__(self) -> None:
        self._retry_at = 0.0  # on the monotonic clock; 0 while pages are rendered in time

    def render(self, wsgi_app: WSGIApp, environ: Environment) -> Rendered | None:
        """Return the app's response to a GET or HEAD request; None if that takes too long.

        After that, only one request per RETRY_AFTER seconds is tried. A response that is late is still stored
        in the cache.
        """
        was_late = bool(self._retry_at)
        if was_late:
            if time.monotonic() < self._retry_at:
                return None
            self._retry_at = time.monotonic() + RETRY_AFTER
        future: Future[Rendered] = Future()
        context = contextvars.copy_context()
        environ = environ | {"wsgi.input": io.BytesIO()}
        # Not a pool: its threads would delay the end of the process until the database responds.
        Thread(target=context.run, args=(_fulfil, future, wsgi_app, environ), daemon=True).start()
        try:
            rendered = future.result(MAX_WAIT)
        except TimeoutError:
            self._retry_at = time.monotonic() + RETRY_AFTER
            if not was_late:
                logger.warning("pages cannot be rendered in time; expired ones are served")
            return None
        self._retry_at = 0.0
        return rendered


def _fulfil(future: "Future[Rendered]", wsgi_app: WSGIApp, environ: Environment) -> None:
    try:
        future.set_result(_call(wsgi_app, environ))
    except BaseException as error:  # raised again by the request that waits for the page
        future.set_exception(error)


def _call(wsgi_app: WSGIApp, environ: Environment) -> Rendered:
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
        started.append((status, headers))

    parts = wsgi_app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return Rendered(*started[-1], body)
