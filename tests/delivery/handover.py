"""Hand over sample letters without a run, using an in-memory journal."""

import smtplib
import time
from functools import partial

from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict

BODY = b"Subject: x\r\n\r\nHello\r\n.leading dot\r\n"


class MemoryJournal:
    """Record which letters were begun and ended, in place of the journal on disk."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[Result] = []

    def begin(self, letter: Letter) -> None:
        self.begun.append(letter.delivery_id)

    def end(self, result: Result) -> None:
        self.ended.append(result)


def make_letters(count: int) -> list[Letter]:
    return [Letter(number, 1, f"c{number}@example.org", BODY) for number in range(count)]


def connect_to(port: int, timeout: float = 5) -> smtplib.SMTP:
    """Open an SMTP connection to a local port."""
    smtp = smtplib.SMTP("127.0.0.1", port, local_hostname="test.example", timeout=timeout)
    smtp.ehlo_or_helo_if_needed()
    return smtp


def hand_over(
    port: int, count: int = 1, sessions: int = 1, seconds: float = 5, until: float = 60
) -> tuple[list[Result], MemoryJournal]:
    journal = MemoryJournal()
    pipeline = Pipeline(partial(connect_to, port), "bounce@sky.example", journal, seconds)
    try:
        pipeline.connect(sessions)
        results = pipeline.hand_over(make_letters(count), time.monotonic() + until)
    finally:
        pipeline.close()
    assert journal.ended == results
    return results, journal


def make_results(
    verdict: Verdict, count: int, code: int | None = 250, seconds: float | None = None
) -> list[Result]:
    """Return `count` equal results; `seconds` is the time between a letter's body and the server's reply."""
    letter = Letter(1, 1, "a@example.org", b"")
    return [Result(letter, verdict, code, content_seconds=seconds)] * count
