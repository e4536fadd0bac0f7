"""Define the rows of the result table, and the sizes of the measurements."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The number of letters, rows and rounds to measure."""

    letters: int
    loop_letters: int
    source_letters: int
    rounds: int
    distant_letters: int
    many: int
    starts: int
    crowd_letters: int
    crowd_seconds: int
    file_letters: int
    years: int  # deliveries


QUICK = Sizes(20_000, 1_000, 20_000, 2, 10_000, 100_000, 3, 20_000, 30, 2_000, 1_000_000)
FULL = Sizes(
    50_000, 3_000, 100_000, 3, 20_000, 1_000_000, 10, 200_000, 120, 10_000, 8_000_000
)  # quoted in docs/benchmarks.md


@dataclass(frozen=True)
class Row:
    """One row, with its required value and its goal; `is_met` is None if no value is required."""

    what: str
    measured: str
    required: str
    goal: str
    is_met: bool | None
    figures: dict[str, object]
