"""Choose the language and time zone of a request."""

from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from flask import Flask, current_app, has_request_context, request
from flask_babel import get_locale, get_translations
from flask_login import current_user
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from skymailing.extensions import babel
from skymailing.web.stateless import is_stateless

# Each language's own name, so that visitors find their language on a page in another language.
LANGUAGE_NAMES = {"en": "English", "ru": "Русский"}
LANGUAGE_COOKIE = "language"


def configure(app: Flask) -> None:
    """Make Flask-Babel use this module's language and time zone for every request."""
    babel.init_app(app, locale_selector=choose_locale, timezone_selector=choose_timezone)
    # Flask-Babel's own functions look up the request's catalogue for each of a page's hundred strings, which
    # took a tenth of the time for the page.
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]  # of Jinja's extension
        gettext=lambda text: translations().ugettext(text),
        ngettext=lambda one, many, number: translations().ungettext(one, many, number),
        pgettext=lambda context, text: translations().upgettext(context, text),
        npgettext=lambda context, one, many, number: translations().unpgettext(context, one, many, number),
        newstyle=True,
    )
    app.jinja_env.globals.update(gettext=gettext_in_template, _=gettext_in_template)


@pass_eval_context
def gettext_in_template(context: EvalContext, text: str, /, **values: Any) -> str:
    """Translate a text and insert values.

    Jinja's own function makes two more calls, and most of a page's hundred texts have no values.
    """
    catalogue = translations()
    if not values and context.autoescape:
        return _translate(catalogue, text)
    translated: str = catalogue.ugettext(text)
    return _mark(translated) % values if context.autoescape else translated % values


@lru_cache(maxsize=8192)
def _translate(catalogue: Any, text: str) -> Markup:
    return _mark(catalogue.ugettext(text)) % {}


def _mark(translated: str) -> Markup:
    return Markup(translated)  # noqa: S704 - our own texts; values are escaped when they are inserted


def translations() -> Any:
    """Return the catalogue of the current language."""
    return _translations(get_locale())


@cache
def _translations(_locale: Locale | None) -> Any:
    return get_translations()


def choose_locale() -> str:
    """Return the language of the profile, or else of the visitor's cookie, or else of the browser."""
    languages: tuple[str, ...] = current_app.config["LANGUAGES"]
    if not has_request_context():
        return languages[0]
    if is_stateless(request.path):
        return find_best_language(request.headers.get("Accept-Language", ""), languages)
    if current_user.is_authenticated and current_user.locale in languages:
        return str(current_user.locale)
    return find_visitor_language(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("Accept-Language"))


def find_visitor_language(chosen: str | None, accept_language: str | None) -> str:
    """Return a visitor's language, from the cookie and the browser's Accept-Language header."""
    languages: tuple[str, ...] = current_app.config["LANGUAGES"]
    if chosen in languages:
        return chosen
    return find_best_language(accept_language or "", languages)


@lru_cache(maxsize=1024)
def find_best_language(accept_language: str, languages: tuple[str, ...]) -> str:
    """Return the language that best matches an Accept-Language header, or else the first."""
    return parse_accept_header(accept_language, LanguageAccept).best_match(languages) or languages[0]


def choose_timezone() -> str:
    """Return the IANA name of the user's time zone, or else of the service's default."""
    if has_request_context() and not is_stateless(request.path) and current_user.is_authenticated:
        return str(current_user.timezone)
    return str(current_app.config["DEFAULT_TIMEZONE"])


def get_user_zone() -> ZoneInfo:
    """Return the time zone in which the current user types and reads times."""
    return ZoneInfo(choose_timezone())
