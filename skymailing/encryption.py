"""Encrypt the secrets of users that the database stores, with keys derived from SECRET_KEY."""

import base64
from typing import TYPE_CHECKING

from flask import current_app

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


def derive_cipher(purpose: str) -> "Fernet":
    """Return the cipher for one purpose.

    The purpose is part of the key: with another one, what is stored cannot be decrypted.
    """
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derivation = HKDF(SHA256(), length=32, salt=None, info=f"skymailing {purpose}".encode())
    return Fernet(base64.urlsafe_b64encode(derivation.derive(current_app.config["SECRET_KEY"].encode())))
