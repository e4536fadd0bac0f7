"""Whole public pages for visitors, made once and served to all until something in them changes.

Only GET and HEAD, only without a session, and only pages listed here. Kept under path, language and the
query arguments that the page knows; labelled with the versions of what it is made of, see
`shared_cache`. Kept whole: the headers that every answer of ours carries are kept with the page.

An answer from here never enters Flask: that is what makes it as fast as a route that does nothing.
Each process also holds the pages that it served last; whether they are still true is asked of Redis
for every request, so a second copy saves time and shows nothing old.
"""

import hashlib
import json
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from babel.numbers import format_decimal
from flask import Flask, Response, g, request, session
from flask_babel import get_locale
from werkzeug.http import parse_cookie

from skymailing.blog.content_cache import next_publication
from skymailing.blog.viewing import VIEWS_HOLE, count_view
from skymailing.caching.backend import ARTICLES, CLIENTS, MAILINGS, VIEWS, SharedCache
from skymailing.caching.invalidation import shared_cache
from skymailing.clock import utcnow
from skymailing.extensions import cache
from skymailing.web.compression import pack, takes_gzip
from skymailing.web.i18n import LANGUAGE_COOKIE, best_language

HOLE = VIEWS_HOLE.encode()
FORM = "page:2"  # of what is kept: another name for another form, as hosts are upgraded one by one
TICKET = "skymailing.ticket"  # in the WSGI environment: what an answer may be kept under
LEVEL_AT_ONCE = 1  # of packing what differs from answer to answer
HELD = 256  # pages in the memory of a process
MAKING = 5.0  # seconds that making a page anew may take
READING = ("GET", "HEAD")

Environment = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """How pages of one endpoint are kept."""

    subjects: tuple[str, ...]  # what they are made of
    seconds: float  # after which they are made anew in any case
    arguments: tuple[str, ...] = ()  # of the query
    variants: int = 1  # how many different ones take turns


# The home page's three articles are random, and its active mailings depend on the time.
HOME = Kind((ARTICLES, CLIENTS, MAILINGS), seconds=30, variants=8)
ARTICLE = Kind((ARTICLES, VIEWS), seconds=600)
KINDS = {
    "/": HOME,
    "/blog/": Kind((ARTICLES,), seconds=600, arguments=("page",)),
    "/blog/feed.atom": Kind((ARTICLES,), seconds=600),
    "/sitemap.xml": Kind((ARTICLES,), seconds=600),
}


@dataclass(frozen=True, slots=True)
class Ticket:
    """Under which key and label a page may be kept, if at all."""

    asked_at: datetime  # no later than what the page shows
    kind: Kind
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
    viewed: tuple[int, int] | None  # id of an article, and its views that the database knew
    body: bytes
    packed: bytes = b""  # made once, unless there is a hole to fill

    def to_bytes(self) -> bytes:
        head = [
            *(self.label, self.until, self.coming, self.etag),
            *(self.headers, self.language, self.viewed),
        ]
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def from_bytes(cls, raw: bytes) -> "KeptPage":
        head, _, body = raw.partition(b"\n")
        label, until, coming, etag, headers, language, viewed = json.loads(head)
        pairs = [(name, value) for name, value in headers]
        packed = b"" if viewed else pack(body)
        return cls(label, until, coming, etag, pairs, language, viewed, body, packed)

    def is_among(self, etags: str) -> bool:
        """Whether an If-None-Match names this page, or any page at all (RFC 9110, section 13.1.2)."""
        return self.etag in etags or etags.strip() == "*"


def configure(app: Flask) -> None:
    """Put the cache before the app; called first, so that `finish` runs last and keeps all headers."""
    app.wsgi_app = VisitorPages(app, app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way
    app.after_request(finish)


class VisitorPages:
    """Answers visitors from the cache, and hands everything else on."""

    def __init__(self, app: Flask, wsgi_app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.wsgi_app = wsgi_app
        self.held: dict[str, KeptPage] = {}

    def __call__(self, environ: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        kind = KINDS.get(path) or (ARTICLE if path.startswith("/blog/") and path.count("/") == 2 else None)
        if kind is not None and environ["REQUEST_METHOD"] in READING and not environ.get("SCRIPT_NAME"):
            cookies = parse_cookie(environ.get("HTTP_COOKIE"))
            if self._is_a_stranger(cookies):
                backend: SharedCache = self.app.extensions["cache"][cache]
                ticket = self._ticket(kind, path, environ, cookies.get(LANGUAGE_COOKIE), backend)
                page = self._find(ticket, backend)
                if page is not None:
                    return self._send(page, environ, start_response)
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
        self, kind: Kind, path: str, environ: Environment, chosen: str | None, backend: SharedCache
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
        self, page: KeptPage, environ: Environment, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        body, is_read = page.body, environ["REQUEST_METHOD"] == "GET"
        if page.viewed is not None:
            with self.app.app_context():
                body = _with_views(body, page.viewed, page.language, is_read=is_read)
        if page.is_among(environ.get("HTTP_IF_NONE_MATCH", "")):
            start_response("304 NOT MODIFIED", [pair for pair in page.headers if pair[0] != "Content-Type"])
            return []
        headers = page.headers
        if takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            body = page.packed or pack(body, LEVEL_AT_ONCE)
            headers = [*headers, ("Content-Encoding", "gzip")]
        start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
        return [body] if is_read else []


def _variant(kind: Kind, etags: str) -> int:
    """Return which of a page's variants to show: the one that the browser has, else any."""
    if kind.variants == 1:
        return 0
    number = etags.removeprefix("W/").removeprefix('"').partition("-")[0]
    if len(number) == 1 and number.isascii() and number.isdigit() and int(number) < kind.variants:
        return int(number)
    return random.randrange(kind.variants)  # noqa: S311 - no secret


def finish(response: Response) -> Response:
    """Keep a visitor's page, count its view, and answer 304 where the browser has it already."""
    ticket: Ticket | None = request.environ.get(TICKET)
    viewed: tuple[int, int] | None = g.get("viewed")
    if response.status_code == 200 and (ticket is not None or viewed is not None):
        if ticket is not None and "Set-Cookie" not in response.headers and not session.modified:
            _keep(response, ticket, viewed)
        if viewed is not None:
            is_read = request.method == "GET"
            response.set_data(_with_views(response.get_data(), viewed, str(get_locale()), is_read=is_read))
        if ticket is not None:
            response.make_conditional(request)
    return response


def _keep(response: Response, ticket: Ticket, viewed: tuple[int, int] | None) -> None:
    response.headers["Cache-Control"] = "no-cache"  # kept by browsers, but asked about each time
    response.vary.update(("Accept-Language", "Cookie", "Accept-Encoding"))
    body = response.get_data()
    # With the views that the database knew: a browser keeps an old number for no longer than a fold.
    etag = f"{ticket.variant}-{hashlib.sha256(body + str(viewed).encode()).hexdigest()[:24]}"
    response.set_etag(etag, weak=True)  # weak: the views since then differ
    if ticket.label is None or not ticket.may_keep:
        return
    # As of the question: what became public while the page was made may be missing in it.
    due = next_publication(ticket.asked_at)
    coming = math.inf if due is None else due.timestamp()
    now = utcnow().timestamp()
    until = min(now + ticket.kind.seconds, coming)
    if until <= now:
        return
    headers = [(name, value) for name, value in response.headers if name != "Content-Length"]
    page = KeptPage(ticket.label, until, coming, f'"{etag}"', headers, str(get_locale()), viewed, body)
    shared_cache().put(ticket.key, page.to_bytes(), until - now)


def _with_views(body: bytes, viewed: tuple[int, int], language: str, *, is_read: bool) -> bytes:
    """Count the view of an article, and write the number into its page."""
    article_id, known = viewed
    pending = count_view(article_id) if is_read else 0
    return body.replace(HOLE, format_decimal(known + pending, locale=language).encode())
