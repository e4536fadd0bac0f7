"""Encrypt secrets that are stored in the database, with keys derived from SECRET_KEY."""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app

# Part of the key derivation: with another value, what is stored cannot be decrypted.
SECOND_FACTOR = "skymailing second factor"
SIGNING_KEY = "skymailing signing key"


def encrypt(secret: str, purpose: str) -> str:
    """Return the secret in a form that only this installation can read, for this purpose."""
    return cipher(purpose).encrypt(secret.encode()).decode()


def decrypt(encrypted: str, purpose: str) -> str | None:
    """Return the secret; None if there is none, or if SECRET_KEY has changed since."""
    if not encrypted:
        return None
    try:
        return cipher(purpose).decrypt(encrypted).decode()
    except InvalidToken:
        return None


def cipher(purpose: str) -> Fernet:
    """Return the cipher of a purpose; its tokens contain the time of encryption."""
    derivation = HKDF(SHA256(), length=32, salt=None, info=purpose.encode())
    return Fernet(base64.urlsafe_b64encode(derivation.derive(current_app.config["SECRET_KEY"].encode())))
