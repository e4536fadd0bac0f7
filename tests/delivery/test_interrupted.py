"""Test that every letter gets a result even if handing over is interrupted on our side."""

import time
from collections.abc import Iterator
from functools import partial

import pytest

from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from tests.delivery.handover import MemoryJournal, connect_to, make_letters
from tests.faults.sink import Sink


def check_results(results: list[Result], sink: Sink) -> None:
    """Assert that every letter that arrived is recorded as sent or unknown."""
    assert len(results) == len({result.letter.delivery_id for result in results})
    sent = {result.letter.delivery_id for result in results if result.verdict is Verdict.SENT}
    unknown = {result.letter.delivery_id for result in results if result.verdict is Verdict.UNKNOWN}
    arrived = {int(letter.to.partition("@")[0][1:]) for letter in sink.letters}
    assert sent <= arrived <= sent | unknown


class LimitedJournal(MemoryJournal):
    """A journal with room for a limited number of entries."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity

    def begin(self, letter: Letter) -> None:
        if len(self.begun) == self.capacity:
            raise OSError("no space left on device")
        super().begin(letter)


def test_results_survive_a_journal_that_cannot_be_written() -> None:
    journal = LimitedJournal(capacity=7)
    results: list[Result] = []

    with Sink() as sink:
        pipeline = Pipeline(partial(connect_to, sink.port), "b@sky.example", journal, 5)
        pipeline.connect(3)
        with pytest.raises(OSError, match="no space"):
            pipeline.hand_over(make_letters(30), time.monotonic() + 30, results)
        pipeline.close()

    check_results(results, sink)


def test_results_survive_a_letter_that_cannot_be_rendered() -> None:
    def generate() -> Iterator[Letter]:
        yield from make_letters(7)
        raise ZeroDivisionError

    results: list[Result] = []

    with Sink() as sink:
        pipeline = Pipeline(partial(connect_to, sink.port), "b@sky.example", MemoryJournal(), 5)
        pipeline.connect(3)
        with pytest.raises(ZeroDivisionError):
            pipeline.hand_over(generate(), time.monotonic() + 30, results)
        pipeline.close()

    check_results(results, sink)
