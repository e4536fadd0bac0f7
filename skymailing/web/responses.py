"""Set response headers, and provide the helpers that every template can use."""

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from flask import Flask, Response, abort, current_app, g, request, session
from flask_babel import get_locale
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from werkzeug.middleware.proxy_fix import ProxyFix

from skymailing.web import labels
from skymailing.web.error_texts import explain_stored
from skymailing.web.file_sizes import file_size
from skymailing.web.formats import (
    clock_time,
    local_date,
    local_time,
    number,
    short_day,
    timezone_name,
    zone_label,
)
from skymailing.web.i18n import LANGUAGE_NAMES
from skymailing.web.ids import BigIdConverter, IdConverter
from skymailing.web.money import format_money
from skymailing.web.picture_files import parse_name
from skymailing.web.static_files import asset
from skymailing.web.subjects import readable_subject
from skymailing.web.urls import public_url

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",  # Bootstrap draws its arrows and ticks as data: images
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Links in letters carry tokens, which no other site may see.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
ONE_YEAR = 365 * 24 * 60 * 60  # seconds
LONG_WORD = 22  # characters that fit into every column on phones
BREAKS = re.compile(r"(?<=[@/_])(?=\w)|(?=[.?&=-]\w)")


def configure(app: Flask) -> None:
    """Install URL converters, response headers and template helpers; call before blueprints."""
    app.url_map.converters.update(int=IdConverter, big=BigIdConverter)
    app.before_request(reject_nul)
    app.after_request(drop_host_from_redirect)
    app.after_request(add_security_headers)
    app.after_request(add_cache_headers)
    filters = (
        address,
        breakable,
        domain,
        clock_time,
        local_time,
        local_date,
        short_day,
        number,
        server_reply,
        file_size,
        readable_subject,
    )
    for filter_ in (*filters, explain_stored):
        app.add_template_filter(evaluate_when_rendered(filter_), filter_.__name__)
    app.add_template_filter(evaluate_when_rendered(format_money), "money")
    for helper in (icon, url_with, languages, get_locale, zone_label, timezone_name, public_url):
        app.add_template_global(helper)
    app.add_template_global(parse_name, "find_picture")
    app.add_template_global(labels.state_label)
    app.add_template_global(labels.state_tone)


def trust_proxies(app: Flask) -> None:
    """Read the visitor's address and protocol from TRUSTED_PROXIES proxies, and the host from none.

    Each proxy appends its values on the right; anything further left may come from the visitor.
    """
    count = app.config["TRUSTED_PROXIES"]
    if count:
        trusting = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=0, x_port=0, x_prefix=0)
        app.wsgi_app = trusting  # type: ignore[method-assign]  # Flask's own way


def evaluate_when_rendered(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Keep Jinja from applying a filter to a constant when it compiles a template.

    The result would be in the first visitor's language, for all visitors.
    """

    @pass_context
    def run(_context: Context, *args: Any, **options: Any) -> Any:
        return filter_(*args, **options)

    return run


def reject_nul() -> None:
    """Return 404 for a path with NUL, the only character that PostgreSQL does not accept."""
    if "\0" in request.path:
        abort(404)


def drop_host_from_redirect(response: Response) -> Response:
    """Redirect without a host: Werkzeug copies it from the Host header, which anyone can forge.

    A view that redirects to another site sets `g.leaves_site`.
    """
    target = urlsplit(response.location or "")
    if target.netloc and not g.get("leaves_site", False):
        response.location = urlunsplit(("", "", "/" + target.path.lstrip("/"), target.query, target.fragment))
        response.set_data(b"")  # the body contains the URL, too
    return response


def add_security_headers(response: Response) -> Response:
    """Add the missing headers; a view that serves a preview frame has set its own policy."""
    for name, value in list_security_headers(current_app).items():
        response.headers.setdefault(name, value)
    return response


def list_security_headers(app: Flask) -> dict[str, str]:
    """Return the headers of every response."""
    if app.config["ENVIRONMENT"] != "production":
        return SECURITY_HEADERS
    return SECURITY_HEADERS | {"Strict-Transport-Security": f"max-age={ONE_YEAR}"}


def add_cache_headers(response: Response) -> Response:
    """Keep a signed-in user's pages out of all caches, and visitors' pages in their browser only.

    Static files set their own headers.
    """
    if request.endpoint == "static":
        return response
    if "_user_id" in session:
        response.headers.setdefault("Cache-Control", "private, no-store")
    elif response.mimetype == "text/html":
        # May contain a flash message for this visitor; `caching.middleware` overrides it for shared pages.
        response.headers.setdefault("Cache-Control", "private, no-cache")
    if response.mimetype == "text/html":
        response.vary.update(("Accept-Language", "Cookie"))  # choose_locale reads these
    return response


def icon(name: str) -> Markup:
    """Return a Bootstrap icon from our sprite, hidden from screen readers."""
    if "icons_url" not in g:  # a page has up to a hundred icons
        g.icons_url = asset("vendor/bootstrap-icons/icons.svg")
    return _draw_icon(g.icons_url, name)


@lru_cache(maxsize=1024)
def _draw_icon(source: str, name: str) -> Markup:
    return Markup('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>').format(
        source, name
    )


def url_with(**changes: str | int | None) -> str:
    """Return this page's URL with some query arguments changed; None removes an argument."""
    pairs = [(key, value) for key, value in request.args.items(multi=True) if key not in changes]
    pairs += [(key, str(value)) for key, value in changes.items() if value is not None]
    return f"{request.path}?{urlencode(pairs)}" if pairs else request.path


def languages() -> list[tuple[str, str]]:
    """Return each language's code and its own name."""
    return [(code, LANGUAGE_NAMES[code]) for code in current_app.config["LANGUAGES"]]


def respond_if_changed(part: str) -> tuple[str, int]:
    """Return the live part of a page, or 204 if the browser has already `seen` this version.

    The part polls a URL with `seen=seen`. Here the second "seen" is replaced with a digest.
    """
    # CSRF tokens differ each time.
    digest = hashlib.sha256(re.sub(r'name="csrf_token" value="[^"]*"', "", part).encode()).hexdigest()[:16]
    if digest == request.args.get("seen"):
        return "", 204
    return part.replace("seen=seen", f"seen={digest}", 1), 200


def address(email: str) -> str:
    """Return an email address in readable form, with a Unicode domain."""
    # Imported here, because only pages need it, and commands start faster without its library.
    from skymailing.email_addresses import display_address

    return display_address(email)


def breakable(text: str, longest: int = LONG_WORD) -> Markup:
    """Let browsers break a long address or URL at punctuation instead of in the middle of a word."""
    parts = BREAKS.split(text) if len(text) > longest else [text]
    return Markup("<wbr>").join(parts)


def domain(name: str) -> str:
    """Return a domain in readable form, in Unicode."""
    from skymailing.email_addresses import display_domain

    return display_domain(name)


def server_reply(text: str) -> str:
    """Return a mail server's reply, or the engine's message in its place, translated if possible."""
    # Imported here for the same reason.
    from skymailing.web.server_replies import translate_reply

    return translate_reply(text)
