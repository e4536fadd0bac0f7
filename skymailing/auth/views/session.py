"""Start, renew and end the browser's session, and store values in it before sign-in."""

import re
import secrets
from datetime import timedelta

from flask import Response, after_this_request, current_app, request, session
from flask_login import current_user, login_user, logout_user
from flask_login.config import COOKIE_NAME

from skymailing.auth import devices
from skymailing.auth.passkeys import Party, find_party
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import User
from skymailing.tokens import BadToken, make_token, read_token

# Keys of the session values that are needed before sign-in.
VERIFY_TOKEN = "verify_token"  # noqa: S105 - a key's name
UNCONFIRMED = "unconfirmed"
LETTER_TO = "letter_to"
AWAITING_CODE = "awaited"  # the user who entered the right password and must enter a code

CODE_LIFETIME = timedelta(minutes=10)
DEVICE_KEY = re.compile(r"[A-Za-z0-9_-]{22}")


def sign_in(user: User, *, remember: bool) -> bool:
    """Sign the user in; return whether a letter about a new device was added to the outbox."""
    user.last_login_at = utcnow()
    renew_session(user, remember=remember)
    return remember_device(user)


def remember_device(user: User) -> bool:
    """Remember this device in a cookie and in the account; return whether a letter was added."""
    key = device_key() or secrets.token_urlsafe(16)

    @after_this_request
    def set_device_cookie(response: Response) -> Response:
        response.set_cookie(
            current_app.config["DEVICE_COOKIE_NAME"],
            key,
            max_age=devices.DEVICE_LIFETIME,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
        return response

    return devices.remember_device(user, key, *device_and_network(), utcnow())


def renew_session(user: User, *, remember: bool) -> None:
    """Start a new session for the user, so that a session cookie planted earlier is useless."""
    if current_user.is_authenticated:
        devices.end_session(current_user.session_key)
    session.clear()
    user.session_key = secrets.token_urlsafe(12)
    devices.start_session(user, user.session_key, *device_and_network(), utcnow(), remember=remember)
    login_user(user, remember=remember, duration=devices.REMEMBERED_LIFETIME)


def end_session() -> None:
    """End the session on the server too, since its cookie may have been copied, and clear it.

    Only Flask-Login's instruction to delete the remember-me cookie is kept.
    """
    if current_user.is_authenticated:
        devices.end_session(current_user.session_key)
    logout_user()
    remember_instruction = session.get("_remember")
    session.clear()
    if remember_instruction is not None:
        session["_remember"] = remember_instruction


def end_other_sessions(user: User) -> int:
    """End the user's sessions on other devices and forget these devices; return how many sessions ended."""
    devices.forget_other_devices(user, device_key())
    return devices.end_other_sessions(user, user.session_key)


def is_remembered() -> bool:
    """Return whether this device has a remember-me cookie."""
    return current_app.config.get("REMEMBER_COOKIE_NAME", COOKIE_NAME) in request.cookies


def start_code_step(user: User, *, remember: bool) -> None:
    """Store in the session that the user entered the right password and must enter a code."""
    session.clear()
    session[AWAITING_CODE] = make_token(
        AWAITING_CODE, {"user": user.id, "epoch": user.session_epoch, "remember": remember}
    )


def find_user_awaiting_code() -> tuple[User, bool] | None:
    """Return the user who must enter a code and whether to remember them; None if there is none."""
    try:
        known = read_token(AWAITING_CODE, session.get(AWAITING_CODE, ""), CODE_LIFETIME)
    except BadToken:
        return None
    user = db.session.get(User, known["user"])
    if user is None or not user.is_active or user.session_epoch != known["epoch"]:
        return None
    return user, known["remember"]


def find_visited_party() -> Party | None:
    """Return this site for passkeys; None if they do not work at the address in the visitor's request."""
    party = find_party()
    return party if party and request.host_url.rstrip("/") == party.origin else None


def device_key() -> str | None:
    """Return the key in this browser's device cookie; None if it is missing or malformed."""
    key = request.cookies.get(current_app.config["DEVICE_COOKIE_NAME"], "")
    return key if DEVICE_KEY.fullmatch(key) else None


def device_and_network() -> tuple[str, str]:
    """Return the visitor's device and network, as shown on pages and in letters."""
    return (
        devices.name_device(request.user_agent.string),
        devices.mask_address(request.remote_addr),
    )
