"""Make the tokens in links with which recipients open their letter on the web.

A token identifies a delivery like a Message-ID does (`message_ids`), but it is signed with another key: mail
servers and mailing-list archives show Message-IDs, which must not open the letter.
"""

import hmac
import re
from binascii import a2b_base64, b2a_base64
from hashlib import blake2b, blake2s

from flask import current_app

from skymailing.delivery.rendering.message_ids import ID_SIZE, MARK_SIZE, LetterName

SIGNATURE_SIZE = 9
# A multiple of 3 bytes, so that base64 needs no padding and each token has only one spelling.
TOKEN_LENGTH = (ID_SIZE + MARK_SIZE + SIGNATURE_SIZE) // 3 * 4
TOKEN = re.compile(rf"[A-Za-z0-9_-]{{{TOKEN_LENGTH}}}")
TO_URL = bytes.maketrans(b"+/", b"-_")
FROM_URL = str.maketrans("-_", "+/")


def make_letter_token(delivery_id: int, run_mark: bytes, key: bytes) -> str:
    """Return the token of a delivery, the same on every attempt; `key` comes from `letter_link_key`."""
    name = delivery_id.to_bytes(ID_SIZE, "big") + run_mark
    return b2a_base64(name + sign(name, key), newline=False).translate(TO_URL).decode("ascii")


def letter_link_key() -> bytes:
    """Return the key that signs the tokens."""
    secret = current_app.config["SECRET_KEY"].encode()
    return blake2b(secret, digest_size=32, person=b"sky.letter-link").digest()


def sign(name: bytes, key: bytes) -> bytes:
    return blake2s(name, digest_size=SIGNATURE_SIZE, key=key).digest()


def read_letter_token(token: str, key: bytes) -> LetterName | None:
    """Return which letter a token opens; None if we did not sign it."""
    if TOKEN.fullmatch(token) is None:
        return None
    value = a2b_base64(token.translate(FROM_URL))
    name, signature = value[:-SIGNATURE_SIZE], value[-SIGNATURE_SIZE:]
    if not hmac.compare_digest(sign(name, key), signature):
        return None
    return LetterName(int.from_bytes(name[:ID_SIZE], "big"), name[ID_SIZE:])
