"""Tokens in links: signed or encrypted, and valid for one purpose only."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from flask import current_app
from itsdangerous import BadData, SignatureExpired, Signer, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from skymailing.db.engine import LARGEST_ID
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import User

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

M = TypeVar("M")

VERIFY = "verify-address"
RESET = "reset-password"
NEW_EMAIL = "confirm-new-email"
VERIFY_LIFETIME = timedelta(hours=24)
RESET_LIFETIME = timedelta(hours=1)


class BadToken(UserError):
    """The token in a link is forged or damaged (`invalid`), too old, or already used."""

    def __init__(self, reason: Literal["invalid", "expired", "used"] = "invalid") -> None:
        super().__init__(f"link_{reason}")
        self.reason = reason


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
    user = find_object(User, payload.get("user"))
    if user is None:
        raise BadToken
    if payload.get("stamp") != _stamp(user):
        raise BadToken("used")
    return user


def _stamp(user: User) -> str:
    # The epoch changes with each new password. The password hash is excluded, since sign-in may renew it.
    return make_stamp(user.email, user.confirmed_at, user.session_epoch)


def make_stamp(*state: object) -> str:
    """Return a stamp that ties a token to a state, so that the token is no longer valid in another one."""
    return hashlib.sha256("|".join(map(str, state)).encode()).hexdigest()[:16]


def find_object(model: type[M], id: object) -> M | None:
    """Return the object whose ID a token contains; None if there is none, or the ID is malformed."""
    return db.session.get(model, id) if type(id) is int and id <= LARGEST_ID else None


def unsubscribe_token(owner_id: int, email_key: str, topic_id: int | None = None) -> str:
    """Return the token for one letter; see `unsubscribe_tokens`."""
    return unsubscribe_tokens(owner_id, topic_id)(email_key)


def unsubscribe_tokens(owner_id: int, topic_id: int | None = None) -> Callable[[str], str]:
    """Return a function that makes the encrypted token for /u/<token> and /p/<token> from an address key.

    The token includes the letters' topic. It has no timestamp: these links never expire.
    """
    letter = str(owner_id) if topic_id is None else f"{owner_id}.{topic_id}"
    encrypt = _unsubscribe_cipher().encrypt

    def make(email_key: str) -> str:
        return base64_encode(encrypt(f"{letter}:{email_key}".encode(), None)).decode("ascii")

    return make


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
