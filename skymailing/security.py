"""Sign-in, roles, ownership and password hashes."""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Response, abort, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_login import current_user, login_required, login_url
from sqlalchemy import bindparam, select

from skymailing.caching.invalidation import shared_cache
from skymailing.clock import utcnow
from skymailing.extensions import db, login
from skymailing.models import Role, User, UserSession

SEEN_LIFETIME = timedelta(days=30)

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M")


login.login_view = "auth.login"
login.login_message = _l("Please sign in to see this page.")
login.login_message_category = "info"
# "strong" would sign people out each time their phone changes networks.
login.session_protection = "basic"


# Built only once, because every request of a signed-in user executes it.
_SESSION = (
    select(User, UserSession.id)
    .join(UserSession, UserSession.user_id == User.id)
    .where(UserSession.key == bindparam("key"), UserSession.expires_at > bindparam("now"))
)


def load_user(identity: str) -> User | None:
    """Return the user of a session; None if it has ended, or if the user is blocked or unconfirmed."""
    key = identity.rpartition(".")[2]
    now = utcnow()
    found = db.session.execute(_SESSION, {"key": key, "now": now}).first()
    if found is None:
        return None
    user, session_id = found
    # The cookie also names the account and its epoch; both must match the database.
    if not user.is_active or identity != f"{user.id}.{user.session_epoch}.{key}":
        return None
    user.session_key = key
    shared_cache().set(make_last_seen_key(session_id), now.timestamp(), SEEN_LIFETIME)
    return cast(User, user)


def make_last_seen_key(session_id: int) -> str:
    """Return the Redis key of the time when a session was last used."""
    return f"seen:{session_id}"


login.user_loader(load_user)


@login.unauthorized_handler
def redirect_to_sign_in() -> ResponseReturnValue:
    """Redirect to the sign-in page, which then leads back to the page that the visitor saw.

    For a part of a page, the whole browser window is redirected: htmx would swap the sign-in page into the
    part, and the part alone is not a page to return to.
    """
    flash(login.login_message, login.login_message_category)
    target = login_url(login.login_view, get_visible_page())
    if not is_partial_request():
        return redirect(target)
    return Response(status=401, headers={"HX-Redirect": target})


def is_partial_request() -> bool:
    """Return whether htmx requests a part of a page."""
    return "HX-Request" in request.headers


def get_visible_page() -> str:
    """Return the path of the page that the visitor sees or requests."""
    if request.method in ("GET", "HEAD") and not is_partial_request():
        return request.full_path.removesuffix("?")
    # A form's target may not accept GET.
    try:
        seen = urlsplit(request.headers.get("HX-Current-URL") or request.referrer or "")
    except ValueError:
        return url_for("home.index")
    path = urlunsplit(("", "", seen.path, seen.query, ""))
    return path if is_safe_next(path) else url_for("home.index")


# --- Permissions ------------------------------------------------------------------------------


def role_required(*roles: Role) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Restrict the view to these roles and administrators; abort with 403 for anyone else."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if current_user.role not in {*roles, Role.ADMIN}:
                abort(403)
            return view(*args, **kwargs)

        return cast("Callable[P, R]", login_required(guarded))

    return decorate


def get_own(model: type[M], id: int, *, to_change: bool = False) -> M:
    """Return a row of the signed-in user or API key's owner, or abort with 404; `to_change` locks it."""
    columns = cast(Any, model)
    own = select(model).where(columns.id == id, columns.owner_id == current_user.id)
    row = db.session.scalar(own.with_for_update() if to_change else own)
    if row is None:
        abort(404)
    return row


def is_safe_next(target: str | None) -> bool:
    """Return whether `target` is a plain path, so that a redirect to it stays on this site.

    Browsers drop tabs and line breaks and read a backslash as a slash: `/\\evil.example` leaves the site.
    """
    if not target or not target.startswith("/") or target.startswith("//"):
        return False
    if "\\" in target or not target.isprintable():
        return False
    parts = urlsplit(target)
    return not parts.scheme and not parts.netloc


# --- Passwords --------------------------------------------------------------------------------


def password_hasher() -> PasswordHasher:
    """Return the app's Argon2id hasher, created once from PASSWORD_HASH_COST."""
    hasher: PasswordHasher | None = current_app.extensions.get("skymailing_hasher")
    if hasher is None:
        hasher = PasswordHasher(**current_app.config["PASSWORD_HASH_COST"])
        # Store the hash first, because other threads use both as soon as they see the hasher.
        current_app.extensions["skymailing_dummy_hash"] = hasher.hash("not a password")
        current_app.extensions["skymailing_hasher"] = hasher
    return hasher


def hash_password(password: str) -> str:
    """Return an Argon2id hash. Slow on purpose, so do not call it inside a transaction."""
    return password_hasher().hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Return whether the password matches.

    With None (no such account), it never matches, but the check takes just as long.
    """
    hasher = password_hasher()
    account_exists = password_hash is not None
    try:
        hasher.verify(password_hash or current_app.extensions["skymailing_dummy_hash"], password)
    except (VerificationError, InvalidHashError):
        return False
    return account_exists


def needs_rehash(password_hash: str) -> bool:
    """Return whether the hash was created with outdated parameters."""
    return password_hasher().check_needs_rehash(password_hash)
