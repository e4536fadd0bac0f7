"""Sign the time when a form was shown, and demand proof of work while a form is under attack.

The stamp of the public page is the same for all visitors, since the page is cached. The stamp of the extra
step belongs to one address, so that a bot needs a new one, and new proof of work, for each address.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from skymailing.tokens import BadToken, make_token, read_token

PAGE, STEP = "signup-page", "signup-step"
LIFETIME = timedelta(hours=24)
MIN_AGE = timedelta(seconds=3)  # people need longer to fill in a form
MAX_PROOF_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Stamp:
    """The time when a page was shown, and how many zero bits its proof of work must begin with."""

    at: datetime
    bits: int = 0
    is_step: bool = False


def make_page_stamp(form_uuid: str, now: datetime) -> str:
    """Return the stamp of a form's public page."""
    return make_token(PAGE, {"form": form_uuid, "at": int(now.timestamp())})


def make_step_stamp(form_uuid: str, email_key: str, bits: int, now: datetime) -> str:
    """Return the stamp of the extra step for one address; it demands proof of work unless `bits` is 0."""
    about = {"form": form_uuid, "address": _digest(email_key)}
    return make_token(STEP, about | {"at": int(now.timestamp()), "bits": bits})


def read_stamp(stamp: str, form_uuid: str, email_key: str, now: datetime) -> Stamp | None:
    """Return the content of a stamp; None if it is missing, forged, too old, too new, or of another form."""
    try:
        payload = read_token(PAGE, stamp, LIFETIME)
    except BadToken:
        return _read_step(stamp, form_uuid, email_key)
    at = datetime.fromtimestamp(payload["at"], UTC)
    is_valid = payload["form"] == form_uuid and now - at >= MIN_AGE
    return Stamp(at) if is_valid else None


def _read_step(stamp: str, form_uuid: str, email_key: str) -> Stamp | None:
    """Return the content of an extra step's stamp; it has no minimum age, since a click takes no time."""
    try:
        payload = read_token(STEP, stamp, LIFETIME)
    except BadToken:
        return None
    if (payload["form"], payload["address"]) != (form_uuid, _digest(email_key)):
        return None
    return Stamp(datetime.fromtimestamp(payload["at"], UTC), payload["bits"], is_step=True)


def is_proven(stamp: str, proof: str, bits: int) -> bool:
    """Return whether SHA-256 of "<stamp>:<proof>" begins with this many zero bits."""
    if len(proof) > MAX_PROOF_LENGTH or not proof.isascii():
        return False
    digest = hashlib.sha256(f"{stamp}:{proof}".encode()).digest()
    return int.from_bytes(digest) >> (len(digest) * 8 - bits) == 0


def _digest(email_key: str) -> str:
    return hashlib.sha256(email_key.encode()).hexdigest()[:16]
