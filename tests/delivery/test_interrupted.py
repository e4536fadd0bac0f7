"""Every letter gets a result even when handing over is interrupted on our side."""

import time
from collections.abc import Iterator
from functools import partial

import pytest

from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from tests.delivery.handing import MemoryJournal, letters, open_to
from tests.faults.sink import Sink


def check_results(results: list[Result], sink: Sink) -> None:
    """Assert that no letter that may have arrived will be sent again."""
    assert len(results) == len({result.letter.delivery_id for result in results})
    sent = {result.letter.delivery_id for result in results if result.verdict is Verdict.SENT}
    unknown = {result.letter.delivery_id for result in results if result.verdict is Verdict.UNKNOWN}
    arrived = {int(letter.to.partition("@")[0][1:]) for letter in sink.letters}
    assert sent <= arrived <= sent | unknown


class FullDisk(MemoryJournal):
    """A journal with room for a limited number of entries."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def begin(self, letter: Letter) -> None:
        if len(self.begun) == self.room:
            raise OSError("no space left on device")
        super().begin(letter)


def test_results_survive_a_journal_that_cannot_be_written() -> None:
    journal = FullDisk(room=7)
    results: list[Result] = []

    with Sink() as sink:
        pipeline = Pipeline(partial(open_to, sink.port), "b@sky.example", journal, 5)
        pipeline.connect(3)
        with pytest.raises(OSError, match="no space"):
            pipeline.hand_over(letters(30), time.monotonic() + 30, results)
        pipeline.close()

    check_results(results, sink)


def test_results_survive_a_letter_that_cannot_be_rendered() -> None:
    def write() -> Iterator[Letter]:
        yield from letters(7)
        raise ZeroDivisionError

    results: list[Result] = []

    with Sink() as sink:
        pipeline = Pipeline(partial(open_to, sink.port), "b@sky.example", MemoryJournal(), 5)
        pipeline.connect(3)
        with pytest.raises(ZeroDivisionError):
            pipeline.hand_over(write(), time.monotonic() + 30, results)
        pipeline.close()

    check_results(results, sink)
