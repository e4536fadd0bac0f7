"""Detect letters that are rejected one after another for the same reason: the message is at fault."""

import re

from skymailing.delivery.smtp.session import Result
from skymailing.delivery.smtp.verdicts import Stage, Verdict

# Servers put queue IDs, times and addresses into otherwise identical replies.
VARYING = re.compile(r"[\d@]")


class Rejections:
    """Count identical permanent rejections after the dot, and letters that could not be rendered, per run."""

    def __init__(self, most: int) -> None:
        self._most = most
        # For runs whose last letter was rejected: the reply, and how often in a row it was received.
        self._streaks: dict[int, tuple[str, int]] = {}

    def record(self, run_id: int, result: Result) -> bool:
        """Count a letter's result; return whether the limit is reached, so that the mailing should pause."""
        is_unrendered = result.verdict is Verdict.FAILED and result.code is None
        if result.stage is not Stage.DOT and not is_unrendered:
            return False
        reply, count = self._streaks.pop(run_id, ("", 0))
        if result.verdict is not Verdict.FAILED:
            return False
        constant = [word for word in result.answer.split() if not VARYING.search(word)]
        current = f"{result.code} {' '.join(constant)}"
        count = count + 1 if current == reply else 1
        if count >= self._most:
            return True
        self._streaks[run_id] = current, count
        return False
