"""Returned letters and providers' events in a common form."""

import hashlib
from dataclasses import dataclass

from skymailing.returns.letter import UNKNOWN_ENVELOPE, Envelope
from skymailing.returns.providers.events import Event
from skymailing.returns.reader import MAX_READ, read_return
from skymailing.returns.reports import Report


@dataclass(frozen=True, slots=True)
class Arrival:
    """A letter or an event, and its reports.

    `source` is the way it arrived, such as "pipe", or the provider's name. `digest` identifies it, so that a
    duplicate changes nothing. It is trusted if its sender was authenticated.
    """

    raw: bytes
    source: str
    digest: str
    reports: list[Report]
    is_trusted: bool = False

    @classmethod
    def read(cls, raw: bytes, source: str, envelope: Envelope = UNKNOWN_ENVELOPE) -> "Arrival":
        """Read a letter; `envelope` is the envelope that the mail server reported."""
        raw = _strip_envelope_line(raw)[:MAX_READ]
        return cls(raw, source, hashlib.sha256(raw).hexdigest(), read_return(raw, envelope))

    @classmethod
    def from_event(cls, event: Event, provider: str) -> "Arrival":
        """Make an arrival from a provider's event; the caller has checked who sent it."""
        return cls(event.raw, provider, event.get_digest(provider), [event.report], is_trusted=True)


def _strip_envelope_line(raw: bytes) -> bytes:
    """Remove the line `From sender date`, which differs when a mail server pipes the letter again."""
    return raw.partition(b"\n")[2] if raw.startswith(b"From ") else raw
