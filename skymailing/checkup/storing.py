"""Cache the results of a letter's checks, which are requested at every change in a mailing's form."""

import hashlib
from collections.abc import Callable

from skymailing.checkup.results import Checked, Outcome, Result
from skymailing.extensions import cache

SECONDS = 600


def remember(parts: tuple[object, ...], check: Callable[[], list[Checked]]) -> list[Checked]:
    """Return the results of `check`, or its cached results for the same parts.

    The parts are all the data that the results depend on. The message's version would not suffice: a letter
    also changes with the layout and the owner's brand.
    """
    key = "checkup:" + hashlib.sha256(repr(parts).encode()).hexdigest()
    stored = cache.get(key)
    if stored is None:
        stored = [
            (checked.code, checked.result.outcome.value, dict(checked.result.values)) for checked in check()
        ]
        cache.set(key, stored, timeout=SECONDS)
    return [Checked(code, Result(Outcome(outcome), values)) for code, outcome, values in stored]
