"""The results of checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = str | int | float


class Outcome(StrEnum):
    PASSED = "passed"
    ADVICE = "advice"  # worth improving
    PROBLEM = "problem"  # filters are likely to act on it


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a check, and the values for its text, which can be stored as JSON."""

    outcome: Outcome
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of the check with this code; `variant` names the variant of an A/B test, if it is not A."""

    code: str
    result: Result
    variant: str = ""


PASSED = Result(Outcome.PASSED)


def advise(**values: Value) -> Result:
    return Result(Outcome.ADVICE, values)


def warn(**values: Value) -> Result:
    return Result(Outcome.PROBLEM, values)
