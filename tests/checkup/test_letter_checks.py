"""Test each check of a letter: where it must speak, and where it must not."""

import pytest

from skymailing.checkup.letters import Letter
from skymailing.checkup.registry import LETTER_CHECKS, run_checks
from skymailing.checkup.results import Outcome
from tests.checkup.letters import SILENT, SPEAKS, write

pytestmark = pytest.mark.one_engine

CODES = [check.__name__.removeprefix("check_") for check in LETTER_CHECKS]


def find_outcome(letter: Letter, code: str) -> Outcome | None:
    return next((one.result.outcome for one in run_checks(LETTER_CHECKS, letter) if one.code == code), None)


@pytest.mark.parametrize(("code", "letter"), [(code, one) for code, all in SPEAKS.items() for one in all])
def test_a_check_speaks(code: str, letter: Letter) -> None:
    assert find_outcome(letter, code) in (Outcome.ADVICE, Outcome.PROBLEM)


@pytest.mark.parametrize(("code", "letter"), [(code, one) for code, all in SILENT.items() for one in all])
def test_a_check_is_silent(code: str, letter: Letter) -> None:
    assert find_outcome(letter, code) is Outcome.PASSED


def test_every_check_has_letters_of_both_kinds() -> None:
    # Every letter gets an unsubscribe link when it is written.
    assert sorted(SPEAKS) == sorted(set(CODES) - {"unsubscribing"})
    assert sorted(SILENT) == sorted(CODES)


def test_what_a_letter_lacks_is_not_checked() -> None:
    checked = {one.code for one in run_checks(LETTER_CHECKS, write(html=""))}
    assert not checked & {"prose", "text_part", "size", "pictures_weight", "picture_texts"}
    assert not checked & {"link_texts", "counted_link_texts", "shorteners", "encryption", "sites"}
