"""The visitor's session: what it remembers, how it is renewed and dropped."""

import secrets
from datetime import timedelta

from flask import current_app, request, session
from flask_login import current_user, login_user, logout_user
from flask_login.config import COOKIE_NAME

from skymailing.extensions import db
from skymailing.models import EndedSession, User

REMEMBERED = timedelta(days=30)

# What the session remembers before anybody is signed in.
VERIFY_TOKEN = "verify_token"  # noqa: S105 - a key's name
UNCONFIRMED = "unconfirmed"
LETTER_TO = "letter_to"


def renew_session(user: User, *, remember: bool) -> None:
    """Sign the user in under a new session, so that one planted before gains nothing."""
    session.clear()
    user.session_key = secrets.token_urlsafe(12)
    login_user(user, remember=remember, duration=REMEMBERED)


def end_session() -> None:
    """Sign out for good, and drop what the session holds but for the order to drop the remember cookie.

    The cookie is all there is to a session, and somebody may have kept a copy of it.
    """
    if current_user.is_authenticated and current_user.session_key:
        db.session.merge(EndedSession(key=current_user.session_key))
    logout_user()
    order = session.get("_remember")
    session.clear()
    if order is not None:
        session["_remember"] = order


def is_remembered() -> bool:
    """Whether this device asked to stay signed in."""
    return current_app.config.get("REMEMBER_COOKIE_NAME", COOKIE_NAME) in request.cookies
