"""Serve whole public pages to visitors from the cache until their data changes.

This covers GET and HEAD requests without a session, for pages that a feature registers with
`register_pages`. The key consists of language, variant, path and the query arguments that the page
knows. The label contains the versions of the data that the page shows (see `backend`). All response
headers are cached with the page.

A request for a cached page never reaches Flask, so it takes no longer than a route that does nothing. Each
process also keeps recently served pages in memory. Every request still checks their versions in Redis, so
these copies save time and never show old data.
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
from skymailing.caching.page_kinds import PageKind, PageKinds
from skymailing.caching.refresh import Refresher
from skymailing.clock import utcnow
from skymailing.extensions import cache
from skymailing.web.compression import accepts_gzip, compress
from skymailing.web.i18n import LANGUAGE_COOKIE, find_best_language

KEY_PREFIX = "page:2"  # increase when the format of CachedPage changes, because hosts are upgraded one by one
EXTENSION = "skymailing_pages"  # in app.extensions: the registered pages
LOOKUP = "skymailing.page_lookup"  # in the WSGI environment: the Lookup of a page that was not cached
FAST_LEVEL = 1  # of compression, for bodies that differ in each response
LOCAL_PAGES = 256  # kept in memory by each process
# Bytes. Larger pages, such as letters with images in their text, are rendered each time.
LARGEST_PAGE = 200_000
RENDER_SECONDS = 5.0  # longest time to render a page
KEPT_SECONDS = 3600.0  # time for which an expired page is kept in case the database stops responding
READ_METHODS = ("GET", "HEAD")

Environment = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A request's key and label in the cache."""

    requested_at: datetime  # taken before the page's data is read
    kind: PageKind
    key: str
    label: str | None
    variant: int
    may_store: bool


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A rendered page; its changing values are not filled in yet."""

    label: str
    expires: float
    next_change: float  # when the page changes without any write, such as at the next publication
    etag: str
    headers: list[tuple[str, str]]
    language: str
    values: list[int] | None  # what `PageKind.fill` needs
    body: bytes
    compressed: bytes = b""  # compressed once, unless there are values to fill in

    def to_bytes(self) -> bytes:
        head = [
            *(self.label, self.expires, self.next_change, self.etag),
            *(self.headers, self.language, self.values),
        ]
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def from_bytes(cls, raw: bytes) -> "CachedPage":
        head, _, body = raw.partition(b"\n")
        label, expires, next_change, etag, headers, language, values = json.loads(head)
        pairs = [(name, value) for name, value in headers]
        compressed = b"" if values else compress(body)
        return cls(label, expires, next_change, etag, pairs, language, values, body, compressed)

    def matches(self, etags: str) -> bool:
        """Return whether an If-None-Match header matches this page (RFC 9110, section 13.1.2)."""
        return self.etag in etags or etags.strip() == "*"


def configure(app: Flask) -> None:
    """Put the cache in front of the app. Call this early, so that `finish_page` runs late."""
    kinds = app.extensions[EXTENSION] = PageKinds()
    app.wsgi_app = PageCache(app, app.wsgi_app, kinds)  # type: ignore[method-assign]  # Flask's way
    app.after_request(finish_page)


def register_pages(app: Flask, pages: Mapping[str, PageKind]) -> None:
    """Cache these paths, which may have variable parts, as in "/blog/<slug>"."""
    for path, kind in pages.items():
        app.extensions[EXTENSION].add(path, kind)


class PageCache:
    """WSGI middleware: serves visitors from the cache and passes every other request on."""

    def __init__(self, app: Flask, wsgi_app: Callable[..., Iterable[bytes]], kinds: PageKinds) -> None:
        self.app = app
        self.kinds = kinds
        self.wsgi_app = wsgi_app
        self.local: dict[str, CachedPage] = {}
        self._refresher = Refresher()

    def __call__(self, environ: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        kind = self.kinds.find(path)
        if kind is not None and environ["REQUEST_METHOD"] in READ_METHODS and not environ.get("SCRIPT_NAME"):
            cookies = parse_cookie(environ.get("HTTP_COOKIE"))
            if self._is_visitor(cookies):
                backend: SharedCache = self.app.extensions["cache"][cache]
                lookup = self._look_up(kind, path, environ, cookies.get(LANGUAGE_COOKIE), backend)
                page = self._find(lookup, backend)
                if page is None:
                    return self._render(lookup, environ, start_response)
                if page.expires <= lookup.requested_at.timestamp():
                    return self._refresh(page, lookup, environ, start_response)
                return self._respond(page, kind, environ, start_response)
        return self.wsgi_app(environ, start_response)

    def _is_visitor(self, cookies: Any) -> bool:
        """Return whether the request has no session, so that its page is the same for all visitors."""
        config = self.app.config
        return (
            config["SESSION_COOKIE_NAME"] not in cookies
            and config.get("REMEMBER_COOKIE_NAME", "remember_token") not in cookies
        )

    def _look_up(
        self, kind: PageKind, path: str, environ: Environment, chosen: str | None, backend: SharedCache
    ) -> Lookup:
        languages = self.app.config["LANGUAGES"]
        if chosen not in languages:
            chosen = find_best_language(environ.get("HTTP_ACCEPT_LANGUAGE", ""), languages)
        variant = _choose_variant(kind, environ.get("HTTP_IF_NONE_MATCH", ""))
        query = environ.get("QUERY_STRING", "")
        given = parse_qs(query, keep_blank_values=True) if query else {}
        known = [f"{name}={given[name][0]}" for name in kind.arguments if name in given]
        # Pages with any other argument are not cached: anyone could fill Redis with them.
        may_store = all(name in kind.arguments and len(values) == 1 for name, values in given.items())
        key = ":".join([KEY_PREFIX, chosen or "", str(variant), path, *known])
        return Lookup(utcnow(), kind, key, backend.lease_label(kind.subjects), variant, may_store)

    def _find(self, lookup: Lookup, backend: SharedCache) -> CachedPage | None:
        """Return the page if its data is unchanged; the page may have expired."""
        if lookup.label is None or not lookup.may_store:
            return None
        page, now = self.local.get(lookup.key), lookup.requested_at.timestamp()
        if page is None or page.label != lookup.label:
            raw = backend.read((), lookup.key)[1][0]
            if raw is None:
                return None
            page = CachedPage.from_bytes(raw)
            if len(self.local) >= LOCAL_PAGES:
                self.local.clear()
            self.local[lookup.key] = page
        if page.label != lookup.label:
            return None
        if page.expires <= now:
            # The data is unchanged. While this request renders the page again, other requests get the old
            # page, but not after its next change. Otherwise, all of them would render it at the same time.
            self.local[lookup.key] = replace(page, expires=min(now + RENDER_SECONDS, page.next_change))
        return page

    def _render(
        self, lookup: Lookup, environ: Environment, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Let Flask render the page; `finish_page` stores it in Redis for the next request."""
        environ[LOOKUP] = lookup
        try:
            return self.wsgi_app(environ, start_response)
        finally:
            self.local.pop(lookup.key, None)

    def _refresh(
        self, page: CachedPage, lookup: Lookup, environ: Environment, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Render an expired page again; serve the old one if the database does not respond."""
        environ[LOOKUP] = lookup
        rendered = self._refresher.render(self.wsgi_app, environ)
        if rendered is None or rendered.status.startswith("503"):  # the database refuses connections
            return self._respond(page, lookup.kind, environ, start_response)
        self.local.pop(lookup.key, None)
        start_response(rendered.status, rendered.headers)
        return [rendered.body]

    def _respond(
        self, page: CachedPage, kind: PageKind, environ: Environment, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        body, is_get = page.body, environ["REQUEST_METHOD"] == "GET"
        if page.values is not None and kind.fill is not None:
            body = kind.fill(self.app, body, page.values, page.language, is_get)
        if page.matches(environ.get("HTTP_IF_NONE_MATCH", "")):
            start_response("304 NOT MODIFIED", [pair for pair in page.headers if pair[0] != "Content-Type"])
            return []
        headers = page.headers
        if accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            body = page.compressed or compress(body, FAST_LEVEL)
            headers = [*headers, ("Content-Encoding", "gzip")]
        start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
        return [body] if is_get else []


def _choose_variant(kind: PageKind, etags: str) -> int:
    """Return the number of the variant to show: the one that the browser has, else a random one."""
    if kind.variants == 1:
        return 0
    number = etags.removeprefix("W/").removeprefix('"').partition("-")[0]
    if len(number) == 1 and number.isascii() and number.isdigit() and int(number) < kind.variants:
        return int(number)
    return random.randrange(kind.variants)  # noqa: S311 - not a secret


def finish_page(response: Response) -> Response:
    """Cache a visitor's page, fill in its changing values, and return 304 if the browser has the page."""
    lookup: Lookup | None = request.environ.get(LOOKUP)
    values: list[int] | None = g.get("page_values")
    if response.status_code == 200 and (lookup is not None or values is not None):
        if lookup is not None and "Set-Cookie" not in response.headers and not session.modified:
            _store(response, lookup, values)
        kind = current_app.extensions[EXTENSION].find(request.path)
        if values is not None and kind is not None and kind.fill is not None:
            app, is_get = current_app._get_current_object(), request.method == "GET"  # type: ignore[attr-defined]  # a proxy
            response.set_data(kind.fill(app, response.get_data(), values, str(get_locale()), is_get))
        if lookup is not None:
            response.make_conditional(request)
    return response


def _store(response: Response, lookup: Lookup, values: list[int] | None) -> None:
    response.headers["Cache-Control"] = "no-cache"  # browsers store the page but revalidate it each time
    response.vary.update(("Accept-Language", "Cookie", "Accept-Encoding"))
    body = response.get_data()
    # The ETag includes the values, so that a browser shows an old view count only until the next fold.
    etag = f"{lookup.variant}-{hashlib.sha256(body + str(values).encode()).hexdigest()[:24]}"
    response.set_etag(etag, weak=True)  # weak: the number of views may differ
    if lookup.label is None or not lookup.may_store or len(body) > LARGEST_PAGE:
        return
    # Computed from the time of the request: an article published during rendering may be missing.
    change = lookup.kind.next_change(lookup.requested_at)
    next_change = math.inf if change is None else change.timestamp()
    now = utcnow().timestamp()
    expires = min(now + lookup.kind.seconds, next_change)
    if expires <= now:
        return
    headers = [(name, value) for name, value in response.headers if name != "Content-Length"]
    page = CachedPage(
        lookup.label, expires, next_change, f'"{etag}"', headers, str(get_locale()), values, body
    )
    shared_cache().set_bytes(lookup.key, page.to_bytes(), expires - now + KEPT_SECONDS)
