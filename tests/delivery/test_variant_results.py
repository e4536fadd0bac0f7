"""Test the arithmetic of A/B tests: the variants' shares of a sample, and which result is best."""

from collections import Counter
from math import sqrt
from statistics import NormalDist
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymailing.delivery.variants.results import Result, choose_winner, estimate_chance
from skymailing.delivery.variants.samples import Sample
from skymailing.models import Decision

pytestmark = pytest.mark.one_engine


@given(st.uuids(), st.integers(10, 50), st.integers(2, 4), st.integers(1, 2**40))
def test_every_variant_gets_an_equal_share(uuid: UUID, percent: int, variants: int, first: int) -> None:
    sample = Sample(uuid, percent, variants)
    clients = 3_000
    counts = Counter(sample.choose(first + number) for number in range(clients))
    assert counts.keys() <= {None, *range(1, variants + 1)}
    share = percent / 100 / variants
    for number in range(1, variants + 1):
        # Six standard deviations: chance alone exceeds them once in a billion cases.
        assert abs(counts[number] - clients * share) < 6 * sqrt(clients * share * (1 - share))


def test_each_run_has_a_different_sample() -> None:
    one, other = (Sample(UUID(int=number << 64 | number), 50, 2) for number in (7, 8))
    chosen = [(one.choose(client), other.choose(client)) for client in range(1_000)]
    assert 200 < sum(first is not None and second is not None for first, second in chosen) < 300


@pytest.mark.parametrize(
    ("clicked", "winner", "decision"),
    [
        ((100, 60), 1, Decision.CLICKS),
        ((60, 100), 2, Decision.CLICKS),
        ((60, 61), 2, Decision.NO_DIFFERENCE),
        ((60, 60), 1, Decision.NO_DIFFERENCE),
        ((0, 0), 1, Decision.NO_DIFFERENCE),
        ((5, 80, 120), 3, Decision.CLICKS),
        ((5, 119, 120), 3, Decision.NO_DIFFERENCE),
        ((5,), 1, Decision.NO_DIFFERENCE),
    ],
)
def test_the_best_rate_wins_and_small_differences_may_be_chance(
    clicked: tuple[int, ...], winner: int, decision: Decision
) -> None:
    results = [Result(number, 1_000, 1_000, count) for number, count in enumerate(clicked, 1)]
    assert choose_winner(results) == (winner, decision)


def test_the_chance_of_a_difference_follows_the_two_proportion_test() -> None:
    chance = estimate_chance(Result(1, 1_000, 1_000, 100), Result(2, 1_000, 1_000, 60))
    deviations = (0.10 - 0.06) / sqrt(0.08 * 0.92 * (1 / 1_000 + 1 / 1_000))
    assert chance == pytest.approx(2 * (1 - NormalDist().cdf(deviations)), rel=1e-6)
    assert estimate_chance(Result(1, 10, 0, 0), Result(2, 10, 10, 5)) == 1.0
