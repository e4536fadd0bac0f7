"""Encrypt the secrets that the database stores, with keys derived from SECRET_KEY."""

import base64
from typing import TYPE_CHECKING

from flask import current_app

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

# Purposes. Each is part of the key: a secret cannot be decrypted with a purpose other than its own.
SECOND_FACTOR = "second factor"
SMTP_ACCESS = "mail server password"
SIGNING_KEY = "signing key"
WEBHOOK_ACCESS = "webhook secret"


def encrypt(secret: str, purpose: str) -> str:
    """Return the secret in a form that only this installation can read; empty if there is none."""
    return derive_cipher(purpose).encrypt(secret.encode()).decode() if secret else ""


def decrypt(encrypted: str, purpose: str) -> str | None:
    """Return the secret; None if there is none, or if SECRET_KEY has changed since."""
    from cryptography.fernet import InvalidToken

    if not encrypted:
        return None
    try:
        return derive_cipher(purpose).decrypt(encrypted).decode()
    except InvalidToken:
        return None


def derive_cipher(purpose: str) -> "Fernet":
    """Return the cipher of a purpose; its output contains the time."""
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derivation = HKDF(SHA256(), length=32, salt=None, info=f"skymailing {purpose}".encode())
    return Fernet(base64.urlsafe_b64encode(derivation.derive(current_app.config["SECRET_KEY"].encode())))
