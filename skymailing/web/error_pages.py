"""Respond to errors: a page for people, plain text for programs."""

import logging
from collections.abc import Callable

from flask import Flask, Response, current_app, g, make_response, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_babel.speaklater import LazyString
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm.exc import ObjectDeletedError
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound, ServiceUnavailable

from skymailing.errors import UserError
from skymailing.extensions import db, login
from skymailing.web.error_texts import explain

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5  # by then, a restarting database is available again
FORMATS = "skymailing_error_formats"  # in app.extensions: functions that respond instead, by path prefix

# The title and the text of each error, translated when it is shown.
EXPIRED = (
    lazy_gettext("This page has expired"),
    lazy_gettext("Nothing was changed. Go back, reload the page and try again."),
)
TEXTS = {
    400: (
        lazy_gettext("This request cannot be processed"),
        lazy_gettext("Go back, check your entries and try again."),
    ),
    403: (
        lazy_gettext("You do not have access to this page"),
        lazy_gettext("Ask an administrator if you need it."),
    ),
    404: (
        lazy_gettext("Page not found"),
        lazy_gettext("The page may have been deleted, or there is a typo in the address."),
    ),
    405: (
        lazy_gettext("This page cannot be opened directly"),
        lazy_gettext("Go back and use the button that opens it."),
    ),
    413: (
        lazy_gettext("The upload is too large"),
        lazy_gettext("Choose a smaller file or split it into several."),
    ),
    429: (lazy_gettext("Too many attempts"), lazy_gettext("Wait a few minutes and try again.")),
    500: (
        lazy_gettext("Something went wrong on our side"),
        lazy_gettext("We have logged the error, and your saved data is safe. Try again in a minute."),
    ),
    503: (lazy_gettext("The service is busy"), lazy_gettext("Try again in a minute.")),
}


def register_error_format(
    app: Flask, prefix: str, respond: Callable[[HTTPException | UserError], Response]
) -> None:
    """Respond to the errors of paths with this prefix in another format."""
    app.extensions.setdefault(FORMATS, {})[prefix] = respond


def find_error_format() -> Callable[[HTTPException | UserError], Response] | None:
    formats = current_app.extensions.get(FORMATS, {})
    return next((formats[prefix] for prefix in formats if request.path.startswith(prefix)), None)


def register_error_pages(app: Flask) -> None:
    """Respond to HTTP errors with a page in the site's design, or with plain text for programs."""
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(OperationalError, show_database_unavailable)
    app.register_error_handler(UserError, show_user_error)
    app.register_error_handler(ObjectDeletedError, show_deleted)


def show_database_unavailable(error: OperationalError) -> Response:
    """Return 503 if the database is unavailable or too busy; raise any other database error again."""
    is_unavailable = error.connection_invalidated or error.statement is None or "is locked" in str(error.orig)
    if not is_unavailable:
        raise error  # a bug in our code
    logger.error("The database is unavailable: %s", error.orig)
    treat_as_visitor_if_unknown()
    return show_error(ServiceUnavailable(retry_after=RETRY_SECONDS))


def treat_as_visitor_if_unknown() -> None:
    """If the user cannot be loaded, show the error page as for a visitor, in the browser's language."""
    try:
        getattr(current_user, "locale", None)
    except SQLAlchemyError:
        g._login_user = login.anonymous_user()


def show_deleted(_error: ObjectDeletedError) -> Response:
    """Return 404 if an object was deleted after the request had loaded it and before it was changed."""
    db.session.rollback()
    return show_error(NotFound())


def show_user_error(error: UserError) -> Response:
    """Respond with 422 and the error's text, unless a view shows it next to a field."""
    db.session.rollback()
    if respond := find_error_format():
        return respond(error)
    response = make_response(render_error(422, _("This is not possible"), explain(error)))
    response.status_code = 422
    return response


def show_error(error: HTTPException) -> Response:
    """Return the page for an HTTP error with the error's own status and headers."""
    if error.response is not None or error.code is None:  # an abort() with a complete response
        return make_response(error.get_response())
    if respond := find_error_format():
        return respond(error)
    title, text = explain_http_error(error)
    response = make_response(render_error(error.code, title, text))
    response.status_code = error.code
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def render_error(code: int, title: str, text: str) -> Response:
    if "text/html" in request.accept_mimetypes.values():
        try:
            return make_response(render_template("errors/error.html", code=code, title=title, text=text))
        except Exception:  # the error page may fail for the same reason, such as an unavailable database
            logger.exception("The error page for %s failed", code)
    response = make_response(f"{code} {title}\n{text}\n")
    response.mimetype = "text/plain"
    return response


def explain_http_error(error: HTTPException) -> tuple[str, str]:
    """Return a title, and a text that describes the problem and its solution."""
    try:
        title, text = _find_texts(error)
        return str(title), str(text)
    except Exception:  # choosing the language may need the database that has just failed
        logger.exception("Translating error %s failed", error.code)
        return error.name, InternalServerError.description


def _find_texts(error: HTTPException) -> tuple[str | LazyString, str | LazyString]:
    if isinstance(error, CSRFError):
        return EXPIRED
    return TEXTS.get(error.code or 500, (error.name, error.description or ""))
