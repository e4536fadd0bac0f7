"""The visitor's session: what it remembers, how it is renewed and dropped."""

import re
import secrets
from datetime import timedelta

from flask import Response, after_this_request, current_app, request, session
from flask_login import current_user, login_user, logout_user
from flask_login.config import COOKIE_NAME

from skymailing.auth import devices
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import User
from skymailing.security import BadToken, make_token, read_token

# What the session remembers before anybody is signed in.
VERIFY_TOKEN = "verify_token"  # noqa: S105 - a key's name
UNCONFIRMED = "unconfirmed"
LETTER_TO = "letter_to"
AWAITED = "awaited"  # who has given the right password and owes a code

CODE_LIFETIME = timedelta(minutes=10)
DEVICE_COOKIE = "device"
DEVICE_KEY = re.compile(r"[A-Za-z0-9_-]{22}")


def sign_in(user: User, *, remember: bool) -> bool:
    """Let the user in; return whether a letter tells them, as this browser was not seen before."""
    now = utcnow()
    user.last_login_at = now
    renew_session(user, remember=remember)
    key = device_key() or secrets.token_urlsafe(16)

    @after_this_request
    def remember_device(response: Response) -> Response:
        response.set_cookie(
            DEVICE_COOKIE,
            key,
            max_age=devices.DEVICE_LIFETIME,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
        return response

    return devices.greet_device(user, key, *describe_visitor(), now)


def renew_session(user: User, *, remember: bool) -> None:
    """Sign the user in under a new session, so that one planted before gains nothing."""
    if current_user.is_authenticated:
        devices.end_session(current_user.session_key)
    session.clear()
    user.session_key = secrets.token_urlsafe(12)
    devices.begin_session(user, user.session_key, *describe_visitor(), utcnow(), remember=remember)
    login_user(user, remember=remember, duration=devices.REMEMBERED)


def end_session() -> None:
    """Sign out for good, and drop what the session holds but for the order to drop the remember cookie.

    The cookie is all there is to a session, and somebody may have kept a copy of it.
    """
    if current_user.is_authenticated:
        devices.end_session(current_user.session_key)
    logout_user()
    order = session.get("_remember")
    session.clear()
    if order is not None:
        session["_remember"] = order


def is_remembered() -> bool:
    """Whether this device asked to stay signed in."""
    return current_app.config.get("REMEMBER_COOKIE_NAME", COOKIE_NAME) in request.cookies


def await_code(user: User, *, remember: bool) -> None:
    """Note that the user has given the right password, for the page that asks for a code."""
    session.clear()
    session[AWAITED] = make_token(
        AWAITED, {"user": user.id, "epoch": user.session_epoch, "remember": remember}
    )


def awaited_user() -> tuple[User, bool] | None:
    """Return who owes a code and whether to remember them; None when nobody does any more."""
    try:
        known = read_token(AWAITED, session.get(AWAITED, ""), CODE_LIFETIME)
    except BadToken:
        return None
    user = db.session.get(User, known["user"])
    if user is None or not user.is_active or user.session_epoch != known["epoch"]:
        return None
    return user, known["remember"]


def device_key() -> str | None:
    """Return what this browser is known by, if it was ever signed in to."""
    key = request.cookies.get(DEVICE_COOKIE, "")
    return key if DEVICE_KEY.fullmatch(key) else None


def describe_visitor() -> tuple[str, str]:
    """Return the visitor's device and the network that they come from."""
    return (
        devices.describe_device(request.user_agent.string),
        devices.coarse_address(request.remote_addr),
    )
