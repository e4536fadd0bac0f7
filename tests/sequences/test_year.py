"""Test a simulated year of three sequences against an independent reference."""

import random

import pytest

from tests.sequences.simulated import Year
from tests.support.sequence_factories import Sequences


# The other years differ in their events, not in their statements.
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.one_engine) for seed in (1, 2, 3))]
)
def test_a_year_sends_exactly_the_letters_of_the_reference(sequences: Sequences, seed: int) -> None:
    year = Year(sequences, 25, random.Random(seed))
    year.run(180)
    assert year.reference.letters.total() > 25
    year.check()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_years(sequences: Sequences, seed: int) -> None:
    year = Year(sequences, 60, random.Random(seed))
    year.run(700)
    year.check()


@pytest.mark.soak
def test_a_year_of_ten_thousand_clients(sequences: Sequences) -> None:
    year = Year(sequences, 10_000, random.Random(7))
    year.run(365)
    assert year.reference.letters.total() > 10_000
    year.check()
