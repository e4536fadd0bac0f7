"""The pages and plain answers for errors."""

import logging

from flask import Flask, Response, make_response, render_template, request
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5  # in which a database that restarts is back


def register_error_pages(app: Flask) -> None:
    """Show HTTP errors in the site's own look, and in plain words to programs."""
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(OperationalError, show_database_away)


def show_database_away(error: OperationalError) -> Response:
    """Say that it is worth trying again when the database does not answer, or not in time."""
    is_away = error.connection_invalidated or error.statement is None or "is locked" in str(error.orig)
    if not is_away:
        raise error  # a defect of ours
    logger.error("The database is away: %s", error.orig)
    return show_error(ServiceUnavailable(retry_after=RETRY_SECONDS))


def show_error(error: HTTPException) -> Response:
    """Return the page for an HTTP error with the error's own status and headers."""
    if error.response is not None or error.code is None:  # an abort() with a ready answer
        return make_response(error.get_response())
    title, text = describe_error(error)
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
        except Exception:
            # What broke the page may break its error page as well: the database, most likely.
            logger.exception("The error page for %s could not be shown", code)
    response = make_response(f"{code} {title}\n{text}\n")
    response.mimetype = "text/plain"
    return response


def describe_error(error: HTTPException) -> tuple[str, str]:
    """Return what happened and what to do about it."""
    try:
        return _describe(error)
    except Exception:
        # Finding the reader's language may need the database that has just failed.
        logger.exception("The words for error %s could not be found", error.code)
        return error.name, InternalServerError.description


def _describe(error: HTTPException) -> tuple[str, str]:
    if isinstance(error, CSRFError):
        return (
            _("This page was open too long"),
            _("Nothing was changed. Go back, load the page again and repeat what you did."),
        )
    described = {
        400: (_("That request was not understood"), _("Go back, check what you entered and try again.")),
        403: (_("You may not do this"), _("Your account has no right to this page.")),
        404: (
            _("There is no such page"),
            _("It may have been deleted, or the address has a typing error."),
        ),
        405: (
            _("This address is not for visiting"),
            _("It is used by buttons inside the site. Go to the page with the button."),
        ),
        413: (_("That is too large"), _("Send a smaller file, or divide it into several.")),
        429: (_("Too many attempts"), _("Wait a few minutes and try again.")),
        500: (
            _("Something broke on our side"),
            _("The fault has been written down. What you had saved is safe; try again in a minute."),
        ),
        503: (_("The service is busy"), _("Try again in a minute.")),
    }
    return described.get(error.code or 500, (error.name, error.description or ""))
