"""Decide whether a submitted form is accepted, needs another step, or is rejected.

No single measure stops every bot. Together, these measures make a flood slow and expensive: a signed stamp,
limits per network, proof of work once a form gets more requests than usual, and at most three letters per
mailbox and day (`requests.py`).
"""

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from skymailing.models import SignupForm
from skymailing.signup import rates
from skymailing.signup.stamps import is_proven, read_stamp

PER_ADDRESS = 5  # forms per hour from an IPv4 address or an IPv6 /64
PER_NETWORK = 60  # from a /24 or /48
PER_FORM = 200
PER_OWNER = 1000  # to all the owner's forms together
MIN_BITS, MAX_BITS = 17, 22  # 17 bits take about a second in a browser
UNKNOWN = "unknown"


class Passage(StrEnum):
    """The decision about a submitted form."""

    ALLOWED = "allowed"
    STEP = "step"  # one more click, with proof of work if the form is under attack
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, and how many bits of proof of work the extra step demands."""

    passage: Passage
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Visitor:
    """The IP address and the browser of a person who submits a form."""

    ip: str
    agent: str = ""


def judge(
    form: SignupForm, email_key: str, visitor: Visitor, stamp: str, proof: str, now: datetime
) -> Verdict:
    """Return the decision about a submission without errors; count it unless it needs another step."""
    keys = [f"form:{form.id}", f"owner:{form.owner_id}"]
    bits = _choose_bits(rates.peek(keys, now))
    shown = read_stamp(stamp, form.uuid, email_key, now)
    has_proof = shown is not None and shown.bits > 0 and is_proven(stamp, proof, shown.bits)
    if shown is None or (bits and not has_proof):
        return Verdict(Passage.STEP, bits)
    per_address, per_network = rates.count(list_network_keys(visitor.ip), now)
    if per_address > PER_ADDRESS or per_network > PER_NETWORK:
        return Verdict(Passage.REFUSED)
    rates.count(keys, now)
    return Verdict(Passage.ALLOWED)


def _choose_bits(counts: list[float]) -> int:
    """Return the required bits of proof of work: none at a normal rate, and one more for each doubling."""
    excess = max(count / limit for count, limit in zip(counts, (PER_FORM, PER_OWNER), strict=True))
    return min(MAX_BITS, MIN_BITS + int(math.log2(excess))) if excess >= 1 else 0


def list_network_keys(ip: str) -> list[str]:
    """Return the names of a visitor's counters: for the address (in IPv6, a /64), and for its network."""
    return [f"ip:{_name_network(ip, 32, 64)}", f"net:{_name_network(ip, 24, 48)}"]


def _name_network(ip: str, prefix: int, prefix6: int) -> str:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    length = prefix if address.version == 4 else prefix6
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))
