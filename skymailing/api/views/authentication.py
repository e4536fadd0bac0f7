"""Authenticate requests by their API key, and check its scopes."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from flask import current_app, g, request

from skymailing.api import keys
from skymailing.api.problems import ApiError
from skymailing.api.scopes import Scope, allows
from skymailing.api.views.rate_limits import count_request
from skymailing.clock import utcnow
from skymailing.models import KeyKind, Mailing, User

SCHEME = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
IN_URL = re.compile(r"sky_(?:live|test)_")
CHALLENGE = 'Bearer realm="SkyMailing"'


@dataclass(frozen=True, slots=True)
class Access:
    """The rights of the current request's key."""

    key_id: int
    owner_id: int
    is_live: bool
    scopes: frozenset[str]


def authenticate() -> None:
    """Accept the request's API key; raises ApiError.

    One query reads the key and its owner. Cookies are ignored.
    """
    g._login_user = current_app.login_manager.anonymous_user()  # type: ignore[attr-defined]  # Flask-Login's
    if IN_URL.search(unquote(request.full_path)):
        raise ApiError(400, "key_in_url")
    header = request.headers.get("Authorization", "")
    if not header:
        raise ApiError(401, "key_missing", {"WWW-Authenticate": CHALLENGE})
    sent = SCHEME.fullmatch(header)
    if sent is None:
        raise ApiError(401, "key_missing", {"WWW-Authenticate": CHALLENGE})
    secret = sent[1]
    if not keys.KEY.fullmatch(secret):
        raise _refusal()
    is_first = count_request(keys.digest_of(secret))
    key = keys.find_key(secret, utcnow())
    if key is None:
        raise _refusal()
    g.api_access = Access(key.id, key.owner_id, key.kind is KeyKind.LIVE, frozenset(key.scopes))
    g._login_user = key.owner
    if is_first:
        keys.note_use(key.id, utcnow())


def _refusal() -> ApiError:
    return ApiError(401, "key_invalid", {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'})


def current_access() -> Access:
    access: Access = g.api_access
    return access


def current_owner() -> User:
    """Return the owner of the request's key."""
    owner: User = g._login_user
    return owner


def require_scope(scope: Scope) -> None:
    """Raise ApiError unless the key has the scope."""
    if not allows(current_access().scopes, scope):
        raise ApiError(403, "scope_missing", scope=scope.value)


def require_live(mailing: Mailing | None = None) -> None:
    """Raise ApiError for a test key, unless the mailing was added with a test key."""
    if not current_access().is_live and not (mailing and mailing.is_caught):
        raise ApiError(403, "test_key")


def require_sending(mailing: Mailing) -> None:
    """Raise ApiError unless the key may start the mailing; a test key may start only test mailings."""
    require_scope(Scope.MAILINGS_SEND)
    if not current_access().is_live and not mailing.is_caught:
        raise ApiError(403, "test_key_cannot_send")
