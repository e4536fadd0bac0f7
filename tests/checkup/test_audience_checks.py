"""Test what the checks say about the clients who get a mailing."""

from typing import Any

import pytest

from skymailing.checkup.audience_checks import Crowd, Earlier, Sample
from skymailing.checkup.registry import AUDIENCE_CHECKS, run_checks
from skymailing.checkup.results import Outcome

pytestmark = pytest.mark.one_engine

USUAL = Earlier(runs=10, largest=1_000, last_id=7, last_letters=1_000, last_bounced=10)
NO_ONE_NEW = Sample(clients=500, forgotten=20, quiet=50)


def check(letters: int = 1_000, earlier: Earlier = USUAL, sample: Any = NO_ONE_NEW) -> dict[str, Outcome]:
    crowd = Crowd(letters, earlier, sample)
    return {one.code: one.result.outcome for one in run_checks(AUDIENCE_CHECKS, crowd)}


def test_a_usual_mailing_passes_all_checks() -> None:
    found = check()
    assert set(found.values()) == {Outcome.PASSED}
    assert set(found) == {"volume", "acquaintance", "quiet_clients", "bounces"}


@pytest.mark.parametrize(
    ("letters", "outcome"), [(200, Outcome.PASSED), (4_999, Outcome.PASSED), (5_000, Outcome.ADVICE)]
)
def test_a_large_first_mailing_is_reported(letters: int, outcome: Outcome) -> None:
    assert check(letters, Earlier(), None) == {"first_volume": outcome}


@pytest.mark.parametrize(
    ("letters", "largest", "outcome"),
    [
        (20_000, 200, Outcome.ADVICE),
        (5_001, 1_000, Outcome.ADVICE),
        (5_000, 1_000, Outcome.PASSED),
        (999, 50, Outcome.PASSED),
        (200, 5_000, Outcome.PASSED),
    ],
)
def test_a_jump_in_volume_is_reported(letters: int, largest: int, outcome: Outcome) -> None:
    assert check(letters, Earlier(3, largest))["volume"] is outcome


@pytest.mark.parametrize(
    ("sample", "outcome"),
    [
        (Sample(500, 250, None), Outcome.ADVICE),
        (Sample(500, 249, None), Outcome.PASSED),
        (Sample(99, 99, None), None),
        (None, None),
    ],
)
def test_clients_without_letters_for_months_are_reported(
    sample: Sample | None, outcome: Outcome | None
) -> None:
    assert check(sample=sample).get("acquaintance") is outcome
    first = check(earlier=Earlier(runs=2, largest=1_000), sample=sample)
    assert "acquaintance" not in first, "everyone is new to a new sender"


@pytest.mark.parametrize(
    ("sample", "outcome"),
    [
        (Sample(500, 0, 150), Outcome.ADVICE),
        (Sample(500, 0, 149), Outcome.PASSED),
        (Sample(500, 0, None), None),
        (Sample(99, 0, 99), None),
    ],
)
def test_quiet_clients_are_reported(sample: Sample, outcome: Outcome | None) -> None:
    assert check(sample=sample).get("quiet_clients") is outcome


@pytest.mark.parametrize(
    ("bounced", "outcome"),
    [(50, Outcome.PASSED), (51, Outcome.ADVICE), (100, Outcome.ADVICE), (101, Outcome.PROBLEM)],
)
def test_bounces_of_the_last_mailing_are_reported(bounced: int, outcome: Outcome) -> None:
    assert check(earlier=Earlier(10, 1_000, 7, 1_000, bounced))["bounces"] is outcome
