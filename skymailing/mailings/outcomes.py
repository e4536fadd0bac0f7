"""Define which letters were delivered, and of which letters they are a share, for all pages."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The letters that were sent: delivered, not delivered, or unclear.

    Letters that were not sent, because of their recipients or the mailing, are not among them.
    """

    delivered: int
    undelivered: int
    unknown: int

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "Outcomes":
        """Return the outcomes of the letters counted as "sent", "failed", "unknown" and "returned".

        In a period, more letters may be returned than are sent.
        """
        returned = counts["returned"]
        return cls(max(0, counts["sent"] - returned), counts["failed"] + returned, counts["unknown"])

    @property
    def total(self) -> int:
        """The letters of which each outcome is a share."""
        return self.delivered + self.undelivered + self.unknown
