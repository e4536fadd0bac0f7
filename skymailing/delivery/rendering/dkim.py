"""Sign letters (DKIM, RFC 6376) for domains whose mail server does not sign: rsa-sha256, relaxed/relaxed.

Signing takes ten times longer than rendering, so only letters of domains that need it are signed.
"""

import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from skymailing.delivery.rendering.mime import SPACES, relax

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

KEY_BITS = 2048  # Ed25519 is faster, but the large providers do not verify it
# From is listed twice, so that no one can add a second From header. Gmail requires signed List-Unsubscribe
# headers.
SIGNED_HEADERS = (
    b"from",
    b"from",
    b"reply-to",
    b"to",
    b"subject",
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"list-id",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"feedback-id",
    b"cfbl-address",
)
FOLD = re.compile(rb"\r\n(?=[ \t])")
WIDTH = 72  # characters per line of the signature


@dataclass(frozen=True, slots=True)
class Signer:
    """A domain, and a key whose public half is published at `<selector>._domainkey.<domain>`."""

    domain: str
    selector: str
    key: "RSAPrivateKey"

    def sign(self, letter: bytes, now: datetime, tail: bytes = b"") -> bytes:
        """Return the letter, which has CRLF line endings, with a signature as its first header.

        The signature covers `tail`, the letter's end in relaxed form, which is not part of the result.
        """
        head, _, body = letter.partition(b"\r\n\r\n")
        headers = _read_headers(head)
        names = [name for name in SIGNED_HEADERS if name in headers]
        signed = b"".join(headers[name] + b"\r\n" for name in dict.fromkeys(names))
        hashed = sha256(relax(body) if tail else canonicalize_body(body))
        if tail:
            hashed.update(tail)
        body_hash = b64encode(hashed.digest())
        start = (
            f"v=1; a=rsa-sha256; c=relaxed/relaxed; s={self.selector};\r\n"
            f" d={self.domain}; t={int(now.timestamp())};\r\n h="
        ).encode("ascii")
        value = start + b":\r\n ".join(_join(names)) + b";\r\n bh=" + body_hash + b";\r\n b="
        unsigned_header = b"dkim-signature:" + _canonicalize(value)
        signature = b64encode(_sign(self.key, signed + unsigned_header))
        lines = [signature[start : start + WIDTH] for start in range(0, len(signature), WIDTH)]
        return b"DKIM-Signature: " + value + b"\r\n ".join(lines) + b"\r\n" + letter


def _sign(key: "RSAPrivateKey", content: bytes) -> bytes:
    # Imported here, because most workers sign no letters.
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return key.sign(content, PKCS1v15(), SHA256())


def canonicalize_body(body: bytes) -> bytes:
    """Return the body in relaxed form: single spaces, no trailing spaces, and no blank lines at the end."""
    body = relax(body).rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def _read_headers(head: bytes) -> dict[bytes, bytes]:
    """Return the headers in relaxed form by lowercase name; no header occurs twice in our letters."""
    headers = {}
    for line in FOLD.sub(b"", head).split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.rstrip().lower()
        headers[name] = name + b":" + _canonicalize(value)
    return headers


def _canonicalize(value: bytes) -> bytes:
    return SPACES.sub(b" ", FOLD.sub(b"", value)).strip()


def _join(names: list[bytes]) -> list[bytes]:
    """Join the names with colons, four per line."""
    return [b":".join(names[start : start + 4]) for start in range(0, len(names), 4)]
