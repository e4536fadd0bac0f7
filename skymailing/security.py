"""Sign-in, roles, ownership, password hashes, and signed tokens in links."""

import functools
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Response, abort, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_login import current_user, login_required, login_url
from itsdangerous import BadData, SignatureExpired, Signer, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode
from sqlalchemy import bindparam, select

from skymailing.caching.invalidation import shared_cache
from skymailing.clock import utcnow
from skymailing.db.engine import LARGEST_ID
from skymailing.errors import UserError
from skymailing.extensions import db, login
from skymailing.models import Role, User, UserSession

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

VERIFY = "verify-address"
RESET = "reset-password"
NEW_EMAIL = "confirm-new-email"
VERIFY_LIFETIME = timedelta(hours=24)
RESET_LIFETIME = timedelta(hours=1)
SEEN_LIFETIME = timedelta(days=30)

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M")


class BadToken(UserError):
    """The token in a link is forged or damaged (`invalid`), too old, or already used."""

    def __init__(self, reason: Literal["invalid", "expired", "used"] = "invalid") -> None:
        super().__init__(f"link_{reason}")
        self.reason = reason


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
    """Return a row of the signed-in user or API key's owner, locked if `to_change`, else abort with 404."""
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


# --- Tokens -----------------------------------------------------------------------------------


def make_token(purpose: str, payload: dict[str, Any]) -> str:
    """Return a signed token with a timestamp, valid for this purpose only."""
    return str(_serializer(purpose).dumps(payload))


def read_token(purpose: str, token: str, max_age: timedelta | None) -> dict[str, Any]:
    """Return the payload of a token. Raises BadToken."""
    seconds = None if max_age is None else int(max_age.total_seconds())
    try:
        payload = _serializer(purpose).loads(token, max_age=seconds)
    except SignatureExpired as error:
        raise BadToken("expired") from error
    except BadData as error:
        raise BadToken from error
    if not isinstance(payload, dict):
        raise BadToken
    return payload


def _serializer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        current_app.config["SECRET_KEY"],
        salt=f"skymailing.{purpose}",
        signer_kwargs={"digest_method": hashlib.sha256},
    )


def account_token(purpose: str, user: User, **more: str) -> str:
    """Return a token that works once: it is bound to a state of the account that its use changes."""
    return make_token(purpose, {"user": user.id, "stamp": _stamp(user), **more})


def read_account_token(purpose: str, token: str, max_age: timedelta) -> User:
    """Return the user of an account token. Raises BadToken, including for one that has already been used."""
    payload = read_token(purpose, token, max_age)
    user_id = payload.get("user")
    user = db.session.get(User, user_id) if type(user_id) is int and user_id <= LARGEST_ID else None
    if user is None:
        raise BadToken
    if payload.get("stamp") != _stamp(user):
        raise BadToken("used")
    return user


def _stamp(user: User) -> str:
    # The epoch changes with each new password. The password hash is excluded, since sign-in may renew it.
    state = f"{user.email}|{user.confirmed_at}|{user.session_epoch}"
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def unsubscribe_token(owner_id: int, email_key: str, topic_id: int | None = None) -> str:
    """Return the encrypted token for /u/<token> and /p/<token>, which includes the letter's topic.

    It has no timestamp: these links never expire.
    """
    letter = str(owner_id) if topic_id is None else f"{owner_id}.{topic_id}"
    value = _unsubscribe_cipher().encrypt(f"{letter}:{email_key}".encode(), None)
    return base64_encode(value).decode("ascii")


def read_unsubscribe_token(token: str) -> tuple[int, str, int | None]:
    """Return the owner's ID, the address key and the ID of the letter's topic. Raises BadToken."""
    try:
        # Tokens of earlier versions have a signature after a dot; links in letters work forever.
        signed = "." in token
        value = base64_decode(_unsubscribe_signer().unsign(token)) if signed else _read_encrypted(token)
        letter, _, email_key = value.decode().partition(":")
        owner_id, _, topic_id = letter.partition(".")
        return int(owner_id), email_key, int(topic_id) if topic_id else None
    except (BadData, ValueError) as error:
        raise BadToken from error


def _read_encrypted(token: str) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return _unsubscribe_cipher().decrypt(base64_decode(token), None)
    except InvalidTag as error:
        raise BadToken from error


def _unsubscribe_cipher() -> "AESSIV":
    """Return the cipher of tokens: deterministic, so that a client's link is the same in every letter."""
    cipher: AESSIV | None = current_app.extensions.get("skymailing_unsubscribe_cipher")
    if cipher is None:
        from cryptography.hazmat.primitives.ciphers import aead  # slow to import

        secret = current_app.config["SECRET_KEY"].encode()
        key = hashlib.blake2b(secret, digest_size=64, person=b"sky.unsubscribe")
        cipher = current_app.extensions["skymailing_unsubscribe_cipher"] = aead.AESSIV(key.digest())
    return cipher


def _unsubscribe_signer() -> Signer:
    secret = current_app.config["SECRET_KEY"]
    return Signer(secret, salt="skymailing.unsubscribe", digest_method=hashlib.sha256)
