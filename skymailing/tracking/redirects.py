"""Redirect clicks before they reach Flask: if a link's run is in memory, only Redis is needed.

All other requests go on to Flask, where `views.click` reads the run, or explains why the link does not work.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from werkzeug.datastructures import EnvironHeaders

from skymailing.tracking.devices import find_device
from skymailing.tracking.hits import note_now
from skymailing.tracking.machines import judge_click
from skymailing.tracking.targets import DisabledLink, UnknownLink, find_letter
from skymailing.web.responses import list_security_headers
from skymailing.web.urls import CLICK_PREFIX

LINK = re.compile(rf"{CLICK_PREFIX}/([\w-]+)/([1-9]\d{{0,3}})", re.ASCII)
# The target's server must learn nothing about the letter, and no cache may answer the next click.
HEADERS = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"}


def configure(app: Flask) -> None:
    """Put the redirects in front of the app."""
    app.wsgi_app = ClickRedirects(app, app.wsgi_app)  # type: ignore[method-assign]  # Flask's way


class ClickRedirects:
    """WSGI middleware for links in letters."""

    def __init__(self, app: Flask, wsgi_app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.wsgi_app = wsgi_app
        headers = list_security_headers(app) | HEADERS
        self.headers = [*headers.items(), ("Content-Length", "0")]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        found = LINK.fullmatch(environ.get("PATH_INFO", ""))
        if found is None or environ["REQUEST_METHOD"] != "GET":
            return self.wsgi_app(environ, start_response)
        url = self._follow(found[1], int(found[2]), environ)
        if url is None:
            return self.wsgi_app(environ, start_response)
        start_response("302 Found", [("Location", url), *self.headers])
        return [b""]

    def _follow(self, text: str, number: int, environ: dict[str, Any]) -> str | None:
        """Note a click and return the target; None if the link is not in memory."""
        with self.app.app_context():
            try:
                letter, targets = find_letter(text, number, only_remembered=True)
            except (UnknownLink, DisabledLink):
                return None
            headers = EnvironHeaders(environ)
            note_now(letter, number, judge_click(headers), find_device(headers))
            return targets.urls[number]
