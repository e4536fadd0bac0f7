"""Create the keys that sign a domain's letters."""

from base64 import b64encode
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from skymailing.delivery.rendering.dkim import KEY_BITS
from skymailing.encryption import SIGNING_KEY, encrypt
from skymailing.models import SendingDomain, SigningKey


def add_key(domain: SendingDomain, now: datetime) -> SigningKey:
    """Add a key with the next selector; it signs letters once its public half is found in DNS."""
    key = rsa.generate_private_key(65537, KEY_BITS)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    number = domain.keys[-1].number + 1 if domain.keys else 1
    added = SigningKey(
        number=number,
        selector=f"sky{number}",
        secret=encrypt(secret, SIGNING_KEY),
        public=b64encode(public).decode(),
        created_at=now,
    )
    domain.keys.append(added)
    return added
