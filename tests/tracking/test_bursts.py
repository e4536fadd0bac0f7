"""Test the recognition of bursts: against a plain definition on random hits, and in linear time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymailing.tracking.bursts import MIN_LINKS, WINDOW, Hit, find_bursts
from tests.support.timing import cpu_seconds

pytestmark = pytest.mark.one_engine

HITS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 20_000)), max_size=30)


def make_hits(pairs: list[tuple[int, int]]) -> list[Hit]:
    return [Hit(number, at, is_person=True) for number, at in sorted(pairs, key=lambda pair: pair[1])]


@given(HITS, st.integers(1, 9))
def test_a_hit_is_in_a_burst_if_a_window_with_enough_links_contains_it(
    pairs: list[tuple[int, int]], link_count: int
) -> None:
    hits = make_hits(pairs)
    needed = 2 if link_count <= 2 else MIN_LINKS
    expected: set[int] = set()
    for start in range(len(hits)):
        for end in range(start, len(hits)):
            if hits[end].at - hits[start].at <= WINDOW and (
                len({hit.number for hit in hits[start : end + 1]}) >= needed
            ):
                expected.update(range(start, end + 1))
    assert set(find_bursts(hits, link_count)) == expected


@pytest.mark.parametrize(
    ("hits", "link_count", "is_burst"),
    [
        ([(1, 0), (2, 300), (3, 900)], 9, True),
        ([(1, 0), (2, 1_500), (3, 3_100)], 9, False),  # a quick reader
        ([(1, 0), (1, 100), (1, 200)], 9, False),  # a double click
        ([(1, 0), (2, 400)], 2, True),
        ([(1, 0), (2, 400)], 9, False),
        ([(1, 0)], 1, False),
    ],
)
def test_bursts_of_scanners_and_of_people(
    hits: list[tuple[int, int]], link_count: int, is_burst: bool
) -> None:
    assert bool(find_bursts(make_hits(hits), link_count)) is is_burst


def test_a_flood_of_hits_takes_linear_time() -> None:
    hits = make_hits([(number % 50, number // 100) for number in range(100_000)])
    with cpu_seconds(2):
        assert len(find_bursts(hits, 50)) == len(hits)
