"""Whole public pages for visitors, made once and served to all until something in them changes.

Only GET, only without a session, and only pages listed here. Kept under path, language and the
query arguments that the page knows; labelled with the versions of what it is made of, see
`shared_cache`. The headers that every response gets are added to each answer, not kept.
"""

import hashlib
import json
import random
from dataclasses import dataclass

from babel.numbers import format_decimal
from flask import Flask, Response, current_app, g, request, session
from flask_babel import get_locale

from skymailing.blog.content_cache import next_publication
from skymailing.blog.viewing import VIEWS_HOLE, count_view
from skymailing.clock import utcnow
from skymailing.freshness import shared_cache
from skymailing.i18n import LANGUAGE_COOKIE, visitor_language
from skymailing.shared_cache import ARTICLES, CLIENTS, MAILINGS, VIEWS

HOLE = VIEWS_HOLE.encode()


@dataclass(frozen=True, slots=True)
class Kind:
    """How pages of one endpoint are kept."""

    subjects: tuple[str, ...]  # what they are made of
    seconds: float  # after which they are made anew in any case
    arguments: tuple[str, ...] = ()  # of the query
    variants: int = 1  # how many different ones take turns


KINDS = {
    # Its three articles are random and its active mailings depend on the time.
    "home.index": Kind((ARTICLES, CLIENTS, MAILINGS), seconds=30, variants=8),
    "blog.index": Kind((ARTICLES,), seconds=600, arguments=("page",)),
    "blog.article": Kind((ARTICLES, VIEWS), seconds=600),
    "syndication.feed": Kind((ARTICLES,), seconds=600),
    "syndication.sitemap": Kind((ARTICLES,), seconds=600),
}


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a visitor's request may keep: under which key and label, for how long."""

    kind: Kind
    key: str
    label: str | None
    variant: int


def configure(app: Flask) -> None:
    """Answer from the cache before anything else looks at a request; fill it afterwards."""
    app.before_request(answer_from_cache)
    app.after_request(finish)


def answer_from_cache() -> Response | None:
    """Return the page if it was kept and nothing in it has changed since."""
    kind = KINDS.get(request.endpoint or "")
    if kind is None or not _is_by_a_stranger():
        return None
    language = visitor_language(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("Accept-Language"))
    variant = _variant(kind)
    g.language = language
    arguments = [f"{name}={request.args[name]}" for name in kind.arguments if name in request.args]
    key = ":".join(["page", language, str(variant), request.path, *arguments])
    label, (kept,) = shared_cache().read(kind.subjects, key)
    g.ticket = Ticket(kind, key, label, variant)
    if kept is None:
        return None
    head, _, body = kept.partition(b"\n")
    label_then, until, etag, content_type, viewed = json.loads(head)
    if label_then != label or until <= utcnow().timestamp():
        return None
    g.ticket = None  # nothing new to keep
    g.viewed = viewed
    response = Response(body, content_type=content_type)
    response.set_etag(etag, weak=True)
    return response


def _is_by_a_stranger() -> bool:
    """Whether the request shows no sign of a session, so that its page is everybody's."""
    if request.method != "GET":
        return False
    names = (
        current_app.config["SESSION_COOKIE_NAME"],
        current_app.config.get("REMEMBER_COOKIE_NAME", "remember_token"),
    )
    cookies = request.headers.get("Cookie", "")
    return not (cookies and any(name in cookies for name in names))


def _variant(kind: Kind) -> int:
    """Return which of a page's variants to show: the one that the browser has, else any."""
    if kind.variants == 1:
        return 0
    for etag in request.if_none_match.as_set(include_weak=True):
        number = etag.partition("-")[0].removeprefix('W/"').removeprefix('"')
        if number.isdecimal() and len(number) < 3 and int(number) < kind.variants:
            return int(number)
    return random.randrange(kind.variants)  # noqa: S311 - no secret


def finish(response: Response) -> Response:
    """Keep a visitor's page, count its view, and answer 304 where the browser has it already."""
    if request.endpoint not in KINDS or response.status_code != 200:
        return response
    ticket: Ticket | None = g.get("ticket")
    if "ticket" in g and "Set-Cookie" not in response.headers:
        if ticket is not None:
            _describe_and_keep(response, ticket)
        response.headers["Cache-Control"] = "no-cache"  # kept by browsers, but asked about each time
    _show_views(response)
    if response.get_etag()[0]:
        response.make_conditional(request)
    return response


def _describe_and_keep(response: Response, ticket: Ticket) -> None:
    if session.modified:
        return
    body = response.get_data()
    etag = f"{ticket.variant}-{hashlib.sha256(body).hexdigest()[:24]}"
    response.set_etag(etag, weak=True)  # weak: the number of views may differ
    # Of other arguments there is no end; pages with them are made, but not kept.
    if ticket.label is None or any(name not in ticket.kind.arguments for name in request.args):
        return
    now = utcnow()
    until = now.timestamp() + ticket.kind.seconds
    coming = next_publication(now)
    if coming is not None:
        until = min(until, coming.timestamp())
    head = json.dumps([ticket.label, until, etag, response.content_type, g.get("viewed")]).encode()
    shared_cache().put(ticket.key, head + b"\n" + body, until - now.timestamp())


def _show_views(response: Response) -> None:
    """Count the view of an article, and write the number into its page."""
    viewed: tuple[int, int] | None = g.get("viewed")
    if viewed is None:
        return
    article_id, known = viewed
    pending = count_view(article_id) if request.method == "GET" else 0
    number = format_decimal(known + pending, locale=g.get("language") or get_locale())
    response.set_data(response.get_data().replace(HOLE, number.encode()))
