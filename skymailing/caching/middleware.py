"""Serve whole public pages to visitors from the cache until something in them changes.

This covers GET and HEAD requests without a session, for pages that a feature registers with
`register_pages`. The key is path, language and the query arguments that the page knows. The label
holds the versions of the data that the page shows (see `backend`). All response headers are cached
with the page.

A cached response never enters Flask, which makes it as fast as a route that does nothing. Each
process also holds the pages that it served last. Every request still checks their versions in
Redis, so this second copy saves time and never shows old data.
"""

import hashlib
import json
import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from flask import Flask, Response, current_app, g, request, session
from flask_babel import get_locale
from werkzeug.http import parse_cookie

from skymailing.caching.backend import SharedCache
from skymailing.caching.invalidation import shared_cache
from skymailing.clock import utcnow
from skymailing.extensions import cache
from skymailing.web.compression import pack, takes_gzip
from skymailing.web.i18n import LANGUAGE_COOKIE, best_language

FORM = "page:2"  # of what is kept: another name for another form, as hosts are upgraded one by one
EXTENSION = "skymailing_pages"  # in app.extensions: the registered pages
TICKET = "skymailing.ticket"  # in the WSGI environment: what an answer may be kept under
LEVEL_AT_ONCE = 1  # of packing what differs from answer to answer
HELD = 256  # pages in the memory of a process
MAKING = 5.0  # seconds that making a page anew may take
READING = ("GET", "HEAD")

Environment = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PageKind:
    """How the pages of one endpoint are cached."""

    subjects: tuple[str, ...]  # the versions that label the page, see `backend.SUBJECTS`
    seconds: float  # longest time until the page is rendered again
    next_change: Callable[[datetime], datetime | None]  # when the page changes without any write
    arguments: tuple[str, ...] = ()  # query arguments that select a page
    variants: int = 1  # how many different pages take turns
    # Put changing values into the rendered body: (body, `g.page_values`, language, is_read) -> body.
    fill: Callable[[bytes, list[int], str, bool], bytes] | None = None


class PageKinds:
    """The registered pages, by path."""

    def __init__(self) -> None:
        self._exact: dict[str, PageKind] = {}
        self._prefixes: dict[str, PageKind] = {}  # "/blog/" for "/blog/<slug>"

    def add(self, path: str, kind: PageKind) -> None:
        prefix, variable, _ = path.partition("<")
        (self._prefixes if variable else self._exact)[prefix] = kind

    def find(self, path: str) -> PageKind | None:
        return self._exact.get(path) or self._prefixes.get(path[: path.rfind("/") + 1])


@dataclass(frozen=True, slots=True)
class Ticket:
    """Under which key and label a page may be kept, if at all."""

    asked_at: datetime  # no later than what the page shows
    kind: PageKind
    key: str
    label: str | None
    variant: int
    may_keep: bool


@dataclass(frozen=True, slots=True)
class KeptPage:
    """A page as it was made, with a hole where the number of its views goes."""

    label: str
    until: float
    coming: float  # when the next article becomes public: from then on the page is wrong
    etag: str
    headers: list[tuple[str, str]]
    language: str
    values: list[int] | None  # what `PageKind.fill` needs
    body: bytes
    packed: bytes = b""  # made once, unless there is a hole to fill

    def to_bytes(self) -> bytes:
        head = [
            *(self.label, self.until, self.coming, self.etag),
            *(self.headers, self.language, self.values),
        ]
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def from_bytes(cls, raw: bytes) -> "KeptPage":
        head, _, body = raw.partition(b"\n")
        label, until, coming, etag, headers, language, values = json.loads(head)
        pairs = [(name, value) for name, value in headers]
        packed = b"" if values else pack(body)
        return cls(label, until, coming, etag, pairs, language, values, body, packed)

    def is_among(self, etags: str) -> bool:
        """Whether an If-None-Match names this page, or any page at all (RFC 9110, section 13.1.2)."""
        return self.etag in etags or etags.strip() == "*"


def configure(app: Flask) -> None:
    """Put the cache in front of the app. Call this first: `finish` must run last to see all headers."""
    kinds = app.extensions[EXTENSION] = PageKinds()
    app.wsgi_app = VisitorPages(app, app.wsgi_app, kinds)  # type: ignore[method-assign]  # Flask's way
    app.after_request(finish)


def register_pages(app: Flask, pages: Mapping[str, PageKind]) -> None:
    """Let these paths be cached; a path may end in one variable part, as "/blog/<slug>"."""
    for path, kind in pages.items():
        app.extensions[EXTENSION].add(path, kind)


class VisitorPages:
    """Answers visitors from the cache, and hands everything else on."""

    def __init__(self, app: Flask, wsgi_app: Callable[..., Iterable[bytes]], kinds: PageKinds) -> None:
        self.app = app
        self.kinds = kinds
        self.wsgi_app = wsgi_app
        self.held: dict[str, KeptPage] = {}

    def __call__(self, environ: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        kind = self.kinds.find(path)
        if kind is not None and environ["REQUEST_METHOD"] in READING and not environ.get("SCRIPT_NAME"):
            cookies = parse_cookie(environ.get("HTTP_COOKIE"))
            if self._is_a_stranger(cookies):
                backend: SharedCache = self.app.extensions["cache"][cache]
                ticket = self._ticket(kind, path, environ, cookies.get(LANGUAGE_COOKIE), backend)
                page = self._find(ticket, backend)
                if page is not None:
                    return self._send(page, kind, environ, start_response)
                return self._make(ticket, environ, start_response)
        return self.wsgi_app(environ, start_response)

    def _is_a_stranger(self, cookies: Any) -> bool:
        """Whether the request shows no sign of a session, so that its page is everybody's."""
        config = self.app.config
        return (
            config["SESSION_COOKIE_NAME"] not in cookies
            and config.get("REMEMBER_COOKIE_NAME", "remember_token") not in cookies
        )

    def _ticket(
        self, kind: PageKind, path: str, environ: Environment, chosen: str | None, backend: SharedCache
    ) -> Ticket:
        languages = self.app.config["LANGUAGES"]
        if chosen not in languages:
            chosen = best_language(environ.get("HTTP_ACCEPT_LANGUAGE", ""), languages)
        variant = _variant(kind, environ.get("HTTP_IF_NONE_MATCH", ""))
        query = environ.get("QUERY_STRING", "")
        given = parse_qs(query, keep_blank_values=True) if query else {}
        known = [f"{name}={given[name][0]}" for name in kind.arguments if name in given]
        # Of other arguments there is no end; pages with them are made, but not kept.
        may_keep = all(name in kind.arguments and len(values) == 1 for name, values in given.items())
        key = ":".join([FORM, chosen or "", str(variant), path, *known])
        return Ticket(utcnow(), kind, key, backend.label(*kind.subjects), variant, may_keep)

    def _find(self, ticket: Ticket, backend: SharedCache) -> KeptPage | None:
        if ticket.label is None or not ticket.may_keep:
            return None
        page, now = self.held.get(ticket.key), ticket.asked_at.timestamp()
        if page is None or page.label != ticket.label:
            raw = backend.read((), ticket.key)[1][0]
            if raw is None:
                return None
            page = KeptPage.from_bytes(raw)
            if len(self.held) >= HELD:
                self.held.clear()
            self.held[ticket.key] = page
        if page.label != ticket.label:
            return None
        if page.until <= now:
            # Nothing that it is made of has changed. This request makes it anew, the others meanwhile
            # get it as it is, unless an article is due: without that all of them would make it at once.
            self.held[ticket.key] = replace(page, until=min(now + MAKING, page.coming))
            return None
        return page

    def _make(
        self, ticket: Ticket, environ: Environment, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Let Flask make the page, which `finish` keeps; it is taken from Redis by whoever comes next."""
        environ[TICKET] = ticket
        try:
            return self.wsgi_app(environ, start_response)
        finally:
            self.held.pop(ticket.key, None)

    def _send(
        self, page: KeptPage, kind: PageKind, environ: Environment, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        body, is_read = page.body, environ["REQUEST_METHOD"] == "GET"
        if page.values is not None and kind.fill is not None:
            with self.app.app_context():
                body = kind.fill(body, page.values, page.language, is_read)
        if page.is_among(environ.get("HTTP_IF_NONE_MATCH", "")):
            start_response("304 NOT MODIFIED", [pair for pair in page.headers if pair[0] != "Content-Type"])
            return []
        headers = page.headers
        if takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            body = page.packed or pack(body, LEVEL_AT_ONCE)
            headers = [*headers, ("Content-Encoding", "gzip")]
        start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
        return [body] if is_read else []


def _variant(kind: PageKind, etags: str) -> int:
    """Return which of a page's variants to show: the one that the browser has, else any."""
    if kind.variants == 1:
        return 0
    number = etags.removeprefix("W/").removeprefix('"').partition("-")[0]
    if len(number) == 1 and number.isascii() and number.isdigit() and int(number) < kind.variants:
        return int(number)
    return random.randrange(kind.variants)  # noqa: S311 - no secret


def finish(response: Response) -> Response:
    """Cache a visitor's page, fill in its changing values, and answer 304 if the browser has the page."""
    ticket: Ticket | None = request.environ.get(TICKET)
    values: list[int] | None = g.get("page_values")
    if response.status_code == 200 and (ticket is not None or values is not None):
        if ticket is not None and "Set-Cookie" not in response.headers and not session.modified:
            _keep(response, ticket, values)
        kind = current_app.extensions[EXTENSION].find(request.path)
        if values is not None and kind is not None and kind.fill is not None:
            is_read = request.method == "GET"
            response.set_data(kind.fill(response.get_data(), values, str(get_locale()), is_read))
        if ticket is not None:
            response.make_conditional(request)
    return response


def _keep(response: Response, ticket: Ticket, values: list[int] | None) -> None:
    response.headers["Cache-Control"] = "no-cache"  # kept by browsers, but asked about each time
    response.vary.update(("Accept-Language", "Cookie", "Accept-Encoding"))
    body = response.get_data()
    # With the values at rendering: a browser shows an old view count no longer than until the next fold.
    etag = f"{ticket.variant}-{hashlib.sha256(body + str(values).encode()).hexdigest()[:24]}"
    response.set_etag(etag, weak=True)  # weak: the views since then differ
    if ticket.label is None or not ticket.may_keep:
        return
    # As of the question: what became public while the page was made may be missing in it.
    due = ticket.kind.next_change(ticket.asked_at)
    coming = math.inf if due is None else due.timestamp()
    now = utcnow().timestamp()
    until = min(now + ticket.kind.seconds, coming)
    if until <= now:
        return
    headers = [(name, value) for name, value in response.headers if name != "Content-Length"]
    page = KeptPage(ticket.label, until, coming, f'"{etag}"', headers, str(get_locale()), values, body)
    shared_cache().put(ticket.key, page.to_bytes(), until - now)
