"""Find the key that signs a sender's letters."""

from typing import TYPE_CHECKING, cast

from sqlalchemy import Connection, func, select

from skymailing.delivery.rendering.dkim import Signer
from skymailing.delivery.rendering.liquid_tags import N_, TemplateError
from skymailing.encryption import SIGNING_KEY, decrypt
from skymailing.models import SendingDomain, SigningKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


def find_signer(connection: Connection, owner_id: int, address: str) -> Signer | None:
    """Return the newest published key of the address's domain, or of a parent domain.

    Return None if the owner has proven no such domain, or if the mail server signs its letters. It also signs
    those from the service's own address, which is empty here. Raises TemplateError if SECRET_KEY has changed.
    """
    labels = address.rpartition("@")[2].lower().split(".")
    names = [".".join(labels[start:]) for start in range(len(labels) - 1)]
    if not names:
        return None
    row = connection.execute(
        select(SendingDomain.name, SigningKey.selector, SigningKey.secret)
        .join(SigningKey, SigningKey.domain_id == SendingDomain.id)
        .where(
            SendingDomain.owner_id == owner_id,
            SendingDomain.name.in_(names),
            SendingDomain.verified_at.is_not(None),
            SendingDomain.is_signed,
            SigningKey.published_at.is_not(None),
        )
        .order_by(func.length(SendingDomain.name).desc(), SigningKey.number.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    secret = decrypt(row.secret, SIGNING_KEY)
    if secret is None:
        raise TemplateError(N_("the key that signs emails from %(domain)s cannot be read"), domain=row.name)
    return Signer(row.name, row.selector, _load_key(secret))


def _load_key(secret: str) -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return cast("RSAPrivateKey", load_pem_private_key(secret.encode(), None))
