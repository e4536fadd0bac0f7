"""The browser's session: start, renew and end it, and what it remembers before the sign-in."""

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

# Keys of what the session remembers before the sign-in.
VERIFY_TOKEN = "verify_token"  # noqa: S105 - a key's name
UNCONFIRMED = "unconfirmed"
LETTER_TO = "letter_to"
AWAITING_CODE = "awaited"  # the user who entered the right password and must enter a code

CODE_LIFETIME = timedelta(minutes=10)
DEVICE_COOKIE = "device"
DEVICE_KEY = re.compile(r"[A-Za-z0-9_-]{22}")


def sign_in(user: User, *, remember: bool) -> bool:
    """Sign the user in; return whether a letter about a new device was added to the outbox."""
    now = utcnow()
    user.last_login_at = now
    renew_session(user, remember=remember)
    key = device_key() or secrets.token_urlsafe(16)

    @after_this_request
    def set_device_cookie(response: Response) -> Response:
        response.set_cookie(
            DEVICE_COOKIE,
            key,
            max_age=devices.DEVICE_LIFETIME,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
        return response

    return devices.remember_device(user, key, *device_and_network(), now)


def renew_session(user: User, *, remember: bool) -> None:
    """Start a new session for the user, which makes a planted session cookie worthless."""
    if current_user.is_authenticated:
        devices.end_session(current_user.session_key)
    session.clear()
    user.session_key = secrets.token_urlsafe(12)
    devices.start_session(user, user.session_key, *device_and_network(), utcnow(), remember=remember)
    login_user(user, remember=remember, duration=devices.REMEMBERED_LIFETIME)


def end_session() -> None:
    """Sign out on the server too, since someone may have copied the cookie, and clear the session.

    The session keeps only Flask-Login's order to delete the remember-me cookie.
    """
    if current_user.is_authenticated:
        devices.end_session(current_user.session_key)
    logout_user()
    remember_order = session.get("_remember")
    session.clear()
    if remember_order is not None:
        session["_remember"] = remember_order


def is_remembered() -> bool:
    """Whether this device has a remember-me cookie."""
    return current_app.config.get("REMEMBER_COOKIE_NAME", COOKIE_NAME) in request.cookies


def start_code_step(user: User, *, remember: bool) -> None:
    """Store in the session that the user entered the right password and must enter a code."""
    session.clear()
    session[AWAITING_CODE] = make_token(
        AWAITING_CODE, {"user": user.id, "epoch": user.session_epoch, "remember": remember}
    )


def user_awaiting_code() -> tuple[User, bool] | None:
    """Return the user who must enter a code and whether to remember them; None when there is none."""
    try:
        known = read_token(AWAITING_CODE, session.get(AWAITING_CODE, ""), CODE_LIFETIME)
    except BadToken:
        return None
    user = db.session.get(User, known["user"])
    if user is None or not user.is_active or user.session_epoch != known["epoch"]:
        return None
    return user, known["remember"]


def device_key() -> str | None:
    """Return the key of this browser's device cookie; None when there is none or it is malformed."""
    key = request.cookies.get(DEVICE_COOKIE, "")
    return key if DEVICE_KEY.fullmatch(key) else None


def device_and_network() -> tuple[str, str]:
    """Return the visitor's device and network, in the form that people see."""
    return (
        devices.device_name(request.user_agent.string),
        devices.mask_address(request.remote_addr),
    )
