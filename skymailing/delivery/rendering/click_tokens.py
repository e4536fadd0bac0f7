"""Make the tokens in links that count clicks: one per letter, verified without a query.

A token names the run and the delivery. Its key depends on the run's UUID, because a database can give the ID
of a deleted run to another one. A token grants no access: the target of a link is stored with the run, by
number.
"""

import hmac
import re
from binascii import a2b_base64, b2a_base64
from hashlib import blake2b, blake2s
from uuid import UUID

from flask import current_app

RUN_SIZE = 5
DELIVERY_SIZE = 7
SIGNATURE_SIZE = 9
# A multiple of 3 bytes, so that base64 needs no padding and each token has only one spelling.
TOKEN_LENGTH = (RUN_SIZE + DELIVERY_SIZE + SIGNATURE_SIZE) // 3 * 4
TOKEN = re.compile(rf"[A-Za-z0-9_-]{{{TOKEN_LENGTH}}}")
TO_URL = bytes.maketrans(b"+/", b"-_")
FROM_URL = str.maketrans("-_", "+/")


class ClickSigner:
    """Makes and verifies the tokens of one run's letters."""

    def __init__(self, run_id: int, run_uuid: UUID) -> None:
        self._run = run_id.to_bytes(RUN_SIZE, "big")
        secret = blake2b(current_app.config["SECRET_KEY"].encode(), digest_size=32, person=b"sky.clicks")
        key = blake2s(run_uuid.bytes, digest_size=32, key=secret.digest()).digest()
        # Copied for each letter, which is faster than starting with the key.
        self._start = blake2s(digest_size=SIGNATURE_SIZE, key=key)

    def make_token(self, delivery_id: int) -> str:
        """Return the token of a delivery, the same on every attempt."""
        name = self._run + delivery_id.to_bytes(DELIVERY_SIZE, "big")
        signature = self._start.copy()
        signature.update(name)
        token = b2a_base64(name + signature.digest(), newline=False)
        return token.translate(TO_URL).decode()

    def verify(self, name: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(self._sign(name), signature)

    def _sign(self, name: bytes) -> bytes:
        signature = self._start.copy()
        signature.update(name)
        return signature.digest()


class ClickToken:
    """A token as received; `run_id` and `delivery_id` are valid only if the run's signer verifies it."""

    __slots__ = ("_name", "_signature")

    def __init__(self, text: str) -> None:
        """Raise ValueError for a string that cannot be a token."""
        if TOKEN.fullmatch(text) is None:
            raise ValueError(text)
        value = a2b_base64(text.translate(FROM_URL))
        self._name, self._signature = value[:-SIGNATURE_SIZE], value[-SIGNATURE_SIZE:]

    @property
    def run_id(self) -> int:
        return int.from_bytes(self._name[:RUN_SIZE], "big")

    @property
    def delivery_id(self) -> int:
        return int.from_bytes(self._name[RUN_SIZE:], "big")

    def is_signed_by(self, signer: ClickSigner) -> bool:
        """Return whether the token belongs to a letter of the signer's run."""
        return signer.verify(self._name, self._signature)
