"""Choose how many sessions a worker keeps on a route."""

import math
import statistics
from collections import Counter
from typing import NamedTuple

from skymailing.delivery.smtp.session import Result
from skymailing.delivery.smtp.verdicts import Verdict

# Seconds; a server that takes longer to reply is distant, unless it is slow.
DISTANT = 0.01
# A server is busy if its replies take this many times as long as its fastest ones.
BUSY = 1.5


class SessionLimits(NamedTuple):
    """The largest numbers of sessions of one worker."""

    usual: int
    distant: int  # while each session only waits for a distant server's replies

    def cap(self, sessions: int) -> "SessionLimits":
        """Return the limits for a server that allows `sessions`."""
        return SessionLimits(min(self.usual, sessions), min(self.distant, sessions))


class Concurrency:
    """The number of sessions: grows with letters sent, halves after a route fault, timeout or unknown.

    It returns to one after a refusal at MAIL. It does not grow while a rate holds letters back: more sessions
    would not help. It exceeds the usual limit only while the server is distant and replies about as fast as
    it did with fewer sessions: a session then waits for the network, not for the server.
    """

    def __init__(self, limits: SessionLimits, letters_to_grow: int) -> None:
        self.target = 1
        self._limits = limits
        self._letters_to_grow = max(1, letters_to_grow)
        self._best_seconds = math.inf  # the shortest typical time from a letter's body to its reply

    def adjust(self, results: list[Result], is_held_back: bool = False) -> None:
        """Set `target` after a window with these results; `is_held_back` if a rate limited the window."""
        verdicts = Counter(result.verdict for result in results)
        is_limited_by_distance = self._is_limited_by_distance(results)
        if verdicts[Verdict.THROTTLED]:
            self.target = 1
        elif verdicts.keys() & {Verdict.ROUTE_FAULT, Verdict.UNKNOWN} or any(
            result.verdict is Verdict.DEFERRED and result.code is None for result in results
        ):
            self.target = max(1, self.target // 2)
        elif verdicts[Verdict.SENT] and not is_held_back:
            retreat = max(self._limits.usual, self.target * 3 // 4)
            limit = self._limits.distant if is_limited_by_distance else retreat
            grown = self.target + max(1, verdicts[Verdict.SENT] // self._letters_to_grow)
            self.target = min(limit, grown)

    def reset(self) -> None:
        """Return to one session, for example after an outage."""
        self.target = 1

    def _is_limited_by_distance(self, results: list[Result]) -> bool:
        times = [
            result.content_seconds
            for result in results
            if result.verdict is Verdict.SENT and result.content_seconds is not None
        ]
        if not times:
            return False
        typical = statistics.median(times)
        self._best_seconds = min(self._best_seconds, typical)
        return self._best_seconds >= DISTANT and typical <= BUSY * self._best_seconds
