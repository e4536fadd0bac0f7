"""What every response carries and every template may use."""

import hashlib
import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from flask import Flask, Response, abort, current_app, request, session
from flask_babel import format_date, format_datetime, format_decimal, get_locale
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

from skymailing.db.engine import LARGEST_BIG_ID, LARGEST_ID
from skymailing.web import labels
from skymailing.web.i18n import LANGUAGE_NAMES, user_zone
from skymailing.web.static_files import asset
from skymailing.web.urls import public_url

if TYPE_CHECKING:
    from skymailing.web.images import Picture

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
    # Links in letters carry tokens; no other site shall learn them.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
A_YEAR = 365 * 24 * 60 * 60  # seconds


class IdConverter(IntegerConverter):
    """<int:...> in addresses: a number that no key can hold is no page's, hence 404."""

    largest = LARGEST_ID

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"max": self.largest, **options})


class BigIdConverter(IdConverter):
    """<big:...>: the same for tables whose keys are BigInteger."""

    largest = LARGEST_BIG_ID


def parse_big_id(text: str) -> int:
    """Return an id sent in a query or a form; raises ValueError when it cannot be one."""
    number = int(text)
    if abs(number) > LARGEST_BIG_ID:
        raise ValueError("too large a number for any database")
    return number


def configure(app: Flask) -> None:
    """Install the reading of ids, response headers and template helpers; call before blueprints."""
    app.url_map.converters.update(int=IdConverter, big=BigIdConverter)
    app.before_request(refuse_nul)
    app.after_request(stay_here)
    app.after_request(add_security_headers)
    app.after_request(add_cache_headers)
    for filter_ in (address, clock_time, local_time, local_date, short_day, number):
        app.add_template_filter(at_run_time(filter_), filter_.__name__)
    for helper in (icon, url_with, languages, get_locale, zone_label, public_url):
        app.add_template_global(helper)
    app.add_template_global(picture_of)
    app.add_template_global(labels.state_label)
    app.add_template_global(labels.state_tone)


def picture_of(name: str) -> "Picture | None":
    """Return the picture with this file name; None for a name that is not ours."""
    from skymailing.web.images import parse_name  # Pillow is slow to import: only pages pay for it

    return parse_name(name)


def trust_proxies(app: Flask) -> None:
    """Take the visitor's address and protocol from TRUSTED_PROXIES proxies, and the host from none.

    Each proxy appends what it saw; whatever stands further to the left came from the visitor.
    """
    count = app.config["TRUSTED_PROXIES"]
    if count:
        trusting = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=0, x_port=0, x_prefix=0)
        app.wsgi_app = trusting  # type: ignore[method-assign]  # Flask's own way


def at_run_time(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Keep Jinja from applying a filter to a constant when it compiles a template.

    That would be in the language of whoever came first, for everybody.
    """

    @pass_context
    def run(_context: Context, *args: Any, **options: Any) -> Any:
        return filter_(*args, **options)

    return run


def refuse_nul() -> None:
    """No page's address holds the one character that PostgreSQL refuses to look for."""
    if "\0" in request.path:
        abort(404)


def stay_here(response: Response) -> Response:
    """Let redirects name no host: Werkzeug takes it from the Host header, which anybody may forge."""
    target = urlsplit(response.location or "")
    if target.netloc:
        response.location = urlunsplit(("", "", "/" + target.path.lstrip("/"), target.query, target.fragment))
        response.set_data(b"")  # it names the address too
    return response


def add_security_headers(response: Response) -> Response:
    """Set what is missing; a view that serves a preview frame has set its own policy."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.config["ENVIRONMENT"] == "production":
        response.headers.setdefault("Strict-Transport-Security", f"max-age={A_YEAR}")
    return response


def add_cache_headers(response: Response) -> Response:
    """Let a signed-in user's pages stay nowhere, others with who asked; assets say so themselves."""
    if request.endpoint == "static":
        return response
    if "_user_id" in session:
        response.headers.setdefault("Cache-Control", "private, no-store")
    elif response.mimetype == "text/html":
        # A page for a visitor may hold a message for them; `page_cache` says what is everybody's.
        response.headers.setdefault("Cache-Control", "private, no-cache")
    if response.mimetype == "text/html":
        response.vary.update(("Accept-Language", "Cookie"))  # what choose_locale looks at
    return response


def icon(name: str) -> Markup:
    """Return a Bootstrap icon of our sprite; it says nothing to a screen reader."""
    return _draw_icon(asset("vendor/bootstrap-icons/icons.svg"), name)


@lru_cache(maxsize=1024)
def _draw_icon(source: str, name: str) -> Markup:
    return Markup('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>').format(
        source, name
    )


def url_with(**changes: str | int | None) -> str:
    """Return this page's address with some query arguments changed, or left out when None."""
    pairs = [(key, value) for key, value in request.args.items(multi=True) if key not in changes]
    pairs += [(key, str(value)) for key, value in changes.items() if value is not None]
    return f"{request.path}?{urlencode(pairs)}" if pairs else request.path


def languages() -> list[tuple[str, str]]:
    """Return code and own name of each language that the service speaks."""
    return [(code, LANGUAGE_NAMES[code]) for code in current_app.config["LANGUAGES"]]


def unless_seen(part: str) -> tuple[str, int]:
    """Answer with the live part of a page, or with 204 when it is as its reader has `seen` it.

    Such a part asks for itself at an address with `seen=seen`; what tells it from others comes in there.
    """
    # Each CSRF token differs from the one before.
    told = hashlib.sha256(re.sub(r'name="csrf_token" value="[^"]*"', "", part).encode()).hexdigest()[:16]
    if told == request.args.get("seen"):
        return "", 204
    return part.replace("seen=seen", f"seen={told}", 1), 200


def address(email: str) -> str:
    """Return an e-mail address as people write it."""
    from skymailing.email_addresses import display_address  # only pages need it: commands start faster

    return display_address(email)


def number(value: float) -> str:
    """Return a number with the language's own separators."""
    return str(format_decimal(value))


def local_time(
    moment: datetime | None, *, zone: bool = True, seconds: bool = False, weekday: bool = False
) -> Markup:
    """Return a <time> in the reader's time zone; a dash when there is no moment."""
    if moment is None:
        return Markup('<span class="no-value">–</span>')
    pattern = ("EEE, " if weekday else "") + "d MMM y, HH:mm" + (":ss" if seconds else "")
    text = escape(format_datetime(moment, pattern))
    if zone:
        text += Markup(' <span class="zone">{}</span>').format(zone_label(moment))
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), user_zone().key, text
    )


def local_date(moment: datetime) -> Markup:
    """Return the day of a moment as a <time>, written out."""
    return Markup('<time datetime="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), format_date(moment, "d MMMM y")
    )


def clock_time(moment: datetime) -> str:
    """Return the time of day in the reader's zone, for places where there is no room for more."""
    return str(format_datetime(moment, "HH:mm:ss" if moment.second else "HH:mm"))


def short_day(day: date) -> str:
    """Return a calendar day, which is no moment and has no zone."""
    return str(format_date(day, "d MMM y"))


def zone_label(moment: datetime) -> str:
    """Return how far the reader's clock is from UTC at a moment, such as UTC+3 or UTC-3:30."""
    offset = moment.astimezone(user_zone()).utcoffset()
    minutes = round(offset.total_seconds() / 60) if offset else 0
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '−'}{hours}" + (f":{rest:02}" if rest else "")
