"""Letters rejected one after another for the same reason: the letter is at fault, not its readers."""

import re

from skymailing.delivery.smtp.session import Result, Stage, Verdict

# Servers put queue ids, times and addresses into otherwise identical answers.
VARYING = re.compile(r"[\d@]")


class Rejections:
    """Counts identical permanent answers after the dot, and letters that could not be written, run by run."""

    def __init__(self, most: int) -> None:
        self._most = most
        # The answer of each run's last letter and how often it came in a row; only of runs that have one.
        self._streaks: dict[int, tuple[str, int]] = {}

    def note(self, run_id: int, result: Result) -> bool:
        """Count how a letter ended; return whether the next one would hardly fare better."""
        is_unwritten = result.verdict is Verdict.FAILED and result.code is None
        if result.stage is not Stage.DOT and not is_unwritten:
            return False
        answer, count = self._streaks.pop(run_id, ("", 0))
        if result.verdict is not Verdict.FAILED:
            return False
        same = [word for word in result.answer.split() if not VARYING.search(word)]
        present = f"{result.code} {' '.join(same)}"
        count = count + 1 if present == answer else 1
        if count >= self._most:
            return True
        self._streaks[run_id] = present, count
        return False
