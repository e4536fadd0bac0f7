"""Represent the result of a test letter to ourselves; domains and routes store it in their column `probe`.

The column is empty before the first test. Then it contains whether the letter `is_awaited`, and the `arrival`
of the last letter that has arrived; for a domain, also `letter` (its ID in the outbox); for a route, also
`refusal` (the server's reply), `return_path` (with the token that is being tested) and `return_path_problem`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any, Self

# A letter that arrives later proves nothing: its token may have been copied.
PROBE_LIFETIME = timedelta(days=1)
PROBE_LATE_AFTER = timedelta(minutes=15)  # a test letter normally arrives within this time
# Gmail shows its unsubscribe button only if the signature covers both (RFC 8058, section 4).
UNSUBSCRIBE_HEADERS = frozenset({"list-unsubscribe", "list-unsubscribe-post"})


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM signature: its domain and the headers that it covers, in lowercase."""

    domain: str
    headers: frozenset[str]

    @property
    def covers_unsubscribing(self) -> bool:
        return self.headers >= UNSUBSCRIBE_HEADERS

    def is_aligned(self, author: str) -> bool:
        """Return whether DMARC accepts it for letters from this domain, by name only (RFC 7489, 3.1.1)."""
        pair = (self.domain, author)
        return any(f".{one}".endswith(f".{other}") for one, other in (pair, pair[::-1]) if "." in other)


class SignatureFault(StrEnum):
    """A fault in the signatures of a test letter; pages and the doctor explain it."""

    MISSING = "missing"
    NOT_ALIGNED = "not_aligned"
    INVALID = "invalid"
    UNSUBSCRIBE_UNCOVERED = "unsubscribe_uncovered"


@dataclass(frozen=True, slots=True)
class ProbeArrival:
    """The arrival of a test letter. `author` is the domain of its From address."""

    author: str
    signatures: tuple[Signature, ...]
    # Whether it has List-Unsubscribe-Post, which letters have only if the site uses HTTPS.
    has_one_click: bool
    # Whether the receiving server reports an invalid signature in Authentication-Results (RFC 8601).
    has_failed: bool
    # The envelope's sender; None if it could not be seen.
    return_path: str | None = None

    @property
    def best(self) -> Signature | None:
        """The signature that helps most: aligned ones first, then those that cover unsubscribing."""
        return max(
            self.signatures,
            key=lambda signature: (signature.is_aligned(self.author), signature.covers_unsubscribing),
            default=None,
        )

    @property
    def faults(self) -> tuple[SignatureFault, ...]:
        """The faults of the best signature, the worst first; empty if it has none."""
        best = self.best
        if best is None:
            return (SignatureFault.MISSING,)
        conditions = {
            SignatureFault.NOT_ALIGNED: not best.is_aligned(self.author),
            SignatureFault.INVALID: self.has_failed,
            SignatureFault.UNSUBSCRIBE_UNCOVERED: self.has_one_click and not best.covers_unsubscribing,
        }
        return tuple(fault for fault, is_true in conditions.items() if is_true)

    def to_json(self) -> dict[str, Any]:
        signatures = [{"domain": one.domain, "headers": sorted(one.headers)} for one in self.signatures]
        return asdict(self) | {"signatures": signatures}

    @classmethod
    def of(cls, probe: Mapping[str, Any]) -> Self | None:
        """Return the arrival stored in a `probe` column; None if the letter has not arrived."""
        stored = probe.get("arrival")
        if stored is None:
            return None
        signatures = tuple(
            Signature(one["domain"], frozenset(one["headers"])) for one in stored["signatures"]
        )
        values = {field.name: stored[field.name] for field in fields(cls) if field.name in stored}
        return cls(**values | {"signatures": signatures})
