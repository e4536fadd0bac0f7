"""Keep the results of a letter's checks, which are requested with every change of a mailing's form."""

import hashlib
from collections.abc import Callable

from skymailing.checkup.results import Checked, Outcome, Result
from skymailing.extensions import cache

SECONDS = 600


def remember(parts: tuple[object, ...], check: Callable[[], list[Checked]]) -> list[Checked]:
    """Return the results of `check`, or those that it returned for the same parts before.

    The parts are all that the results depend on. A version would not do: a message also changes with its
    layout and its owner's brand.
    """
    key = "checkup:" + hashlib.sha256(repr(parts).encode()).hexdigest()
    stored = cache.get(key)
    if stored is None:
        stored = [(one.code, one.result.outcome.value, dict(one.result.values)) for one in check()]
        cache.set(key, stored, timeout=SECONDS)
    return [Checked(code, Result(Outcome(outcome), values)) for code, outcome, values in stored]
