"""Letters rejected one after another for the same reason: the letter is at fault, not its readers."""

import re

from skymailing.delivery.smtp import Result, Stage, Verdict

# Servers put queue ids, times and addresses into otherwise identical answers.
VARYING = re.compile(r"\S*[\d@]\S*")


class Rejections:
    """Counts identical permanent answers after the dot, run by run."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._run_id = 0
        self._answer = ""
        self._count = 0

    def find(self, run_id: int, results: list[Result]) -> Result | None:
        """Return the rejection that makes it too many in a row; None while there is hope."""
        if run_id != self._run_id:
            self._run_id, self._count = run_id, 0
        for result in results:
            if result.stage is not Stage.DOT:
                continue
            answer = f"{result.code} {VARYING.sub('', result.answer)}"
            if result.verdict is not Verdict.FAILED:
                self._count = 0
            elif answer == self._answer:
                self._count += 1
            else:
                self._answer, self._count = answer, 1
            if self._count >= self._most:
                self._count = 0
                return result
        return None
