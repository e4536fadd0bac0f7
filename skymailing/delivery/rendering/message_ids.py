"""Make Message-IDs and return paths that identify the delivery when a letter is returned."""

import hmac
import re
from dataclasses import dataclass
from hashlib import blake2b, blake2s
from typing import NamedTuple
from uuid import UUID, uuid5

from flask import current_app

from skymailing.delivery.rendering.tracked_links import Tracking

ID_SIZE = 7
MARK_SIZE = 5
SIGNATURE_SIZE = 8
TOKEN_LENGTH = 2 * (ID_SIZE + MARK_SIZE + SIGNATURE_SIZE)
# Hexadecimal, since servers may change the case, and base32 takes Python five times longer.
SIGNED_ID = re.compile(rf"<?([0-9a-f]{{{TOKEN_LENGTH}}})@", re.IGNORECASE)
RETURN_TOKEN = re.compile(rf"\+([0-9a-f]{{{TOKEN_LENGTH}}}@)", re.IGNORECASE)


class LetterName(NamedTuple):
    """The delivery that a Message-ID identifies, with its run's mark, because a database can reuse IDs."""

    delivery_id: int
    run_mark: bytes


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """A run's UUID, the keys that sign its letters' Message-IDs and web links, and the letters' tracking.

    `key` is empty for runs that an earlier version planned, whose letters keep the old form of Message-ID.
    Both keys are empty for letters without a delivery.
    """

    uuid: UUID
    key: bytes = b""
    link_key: bytes = b""  # see `letter_links`
    tracking: Tracking | None = None  # None: nothing in the letters is tracked

    @property
    def mark(self) -> bytes:
        return self.uuid.bytes[:MARK_SIZE]

    def make_message_id(self, delivery_id: int, domain: str) -> str:
        """Return the Message-ID of a delivery, the same on every attempt."""
        if not self.key:
            return f"<{uuid5(self.uuid, str(delivery_id))}@{domain}>"
        return f"<{self._make_token(delivery_id)}@{domain}>"

    def make_return_path(self, delivery_id: int, address: str) -> str:
        """Return the envelope sender of a delivery: `address` with the token of its Message-ID.

        It is empty if `address` is, and for runs whose Message-IDs have no token.
        """
        return add_return_token(address, self._make_token(delivery_id)) if address and self.key else ""

    def _make_token(self, delivery_id: int) -> str:
        name = delivery_id.to_bytes(ID_SIZE, "big") + self.mark
        return (name + sign(name, self.key)).hex()


def add_return_token(address: str, token: str) -> str:
    """Return `name+token@domain`, which mail servers deliver to `name@domain`."""
    name, _, domain = address.rpartition("@")
    return f"{name}+{token}@{domain}"


def find_return_token(text: str) -> str:
    """Return the token in a return path, as it is in Message-IDs; empty if there is none."""
    found = RETURN_TOKEN.search(text)
    return found[1] if found else ""


def message_id_key() -> bytes:
    """Return the key that signs Message-IDs."""
    secret = current_app.config["SECRET_KEY"].encode()
    return blake2b(secret, digest_size=32, person=b"sky.message-id").digest()


def sign(name: bytes, key: bytes) -> bytes:
    return blake2s(name, digest_size=SIGNATURE_SIZE, key=key).digest()


def read_message_id(text: str, key: bytes) -> LetterName | None:
    """Return the delivery and run that a Message-ID identifies; None if we did not sign it."""
    found = SIGNED_ID.match(text.strip())
    if found is None:
        return None
    value = bytes.fromhex(found[1])
    name, signature = value[:-SIGNATURE_SIZE], value[-SIGNATURE_SIZE:]
    if not hmac.compare_digest(sign(name, key), signature):
        return None
    return LetterName(int.from_bytes(name[:ID_SIZE], "big"), name[ID_SIZE:])
