"""Servers that speak too early, take back what they said, or say strange things at length."""

import time
import tracemalloc
from collections.abc import Iterator
from functools import partial

import pytest

from skymailing.delivery.ledger.statistics import common_words
from skymailing.delivery.routing.rejections import Rejections
from skymailing.delivery.smtp.pipeline import Exchange
from skymailing.delivery.smtp.session import Letter, Result, Stage, Verdict
from tests.delivery.handing import Notes, hand_over, open_to
from tests.delivery.scripted import Peer, scripted_server
from tests.support.servers import SmtpServer

MEBIBYTE = 1024 * 1024


def read_until_closed(peer: Peer) -> bytes:
    return peer.file.read()


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
def test_a_yes_that_comes_before_the_letter_is_no_yes(extensions: tuple[str, ...]) -> None:
    """Nothing was written that the server could have taken."""
    heard: list[bytes] = []

    def agree_to_everything(peer: Peer) -> None:
        peer.greet(*extensions)
        peer.hear()
        peer.say("250 ok\r\n250 ok\r\n354 go on\r\n250 2.0.0 taken\r\n" * 5)
        heard.append(read_until_closed(peer))

    with scripted_server(agree_to_everything) as port:
        results, _ = hand_over(port, count=5)

    assert Verdict.SENT not in {result.verdict for result in results}
    assert Verdict.UNKNOWN not in {result.verdict for result in results}
    assert b"\r\n.\r\n" not in heard[0]


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("250 2.0.0 taken", Verdict.DEFERRED),
        ("354 more", Verdict.DEFERRED),
        ("451 4.3.0 not now", Verdict.DEFERRED),
        ("552 5.3.4 too big", Verdict.FAILED),
        ("421 4.3.2 shutting down", Verdict.ROUTE_FAULT),
    ],
)
def test_an_answer_in_the_middle_of_the_body_ends_the_session_before_the_dot(
    reply: str, verdict: Verdict
) -> None:
    # More than a socket takes at once.
    large = Letter(1, 1, "c@example.org", (b"x" * 998 + b"\r\n") * 16_000)
    heard: list[bytes] = []

    def interrupt(peer: Peer) -> None:
        peer.greet()
        for answer in ("250 ok", "250 ok", "354 go on"):
            peer.hear()
            peer.say(answer)
        peer.hear()
        peer.say(reply)
        heard.append(read_until_closed(peer))

    with scripted_server(interrupt) as port:
        exchange = Exchange(partial(open_to, port), "b@sky.example", Notes(), 5)
        exchange.connect(1)
        (result,) = exchange.hand_over([large], time.monotonic() + 30)
        exchange.close()

    assert result.verdict is verdict
    assert not heard[0].endswith(b"\r\n.\r\n")


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize(
    ("reply", "verdict"),
    [("550 5.1.1 no such user", Verdict.FAILED), ("451 4.7.1 greylisted", Verdict.DEFERRED)],
)
def test_a_refusal_counts_although_the_server_hangs_up_behind_it(
    extensions: tuple[str, ...], reply: str, verdict: Verdict
) -> None:
    def refuse_and_leave(peer: Peer) -> None:
        peer.greet(*extensions)
        peer.hear()
        peer.say("250 ok")
        peer.hear()
        peer.say(reply)

    with scripted_server(refuse_and_leave) as port:
        (result,), _ = hand_over(port)

    assert (result.verdict, result.code, result.stage) == (verdict, int(reply[:3]), Stage.RCPT)
    assert result.answer == reply[4:]


def test_a_server_that_is_out_of_step_after_a_refusal_gets_no_other_letter() -> None:
    """It said one thing too many, so each answer would be taken for that to the next command."""

    def stutter(peer: Peer) -> None:
        peer.greet()
        peer.hear()
        peer.say("250 ok")
        peer.hear()
        peer.say("550 5.7.1 no")
        peer.hear()
        peer.say("354 go on")
        heard.append(peer.hear())

    heard: list[str] = []
    with scripted_server(stutter) as port:
        results, _ = hand_over(port, count=2)

    assert [result.verdict for result in results] == [Verdict.FAILED]
    assert heard == ["QUIT"]


@pytest.mark.parametrize("words", ["a" * 16_000, "a-" * 8_000, "<" * 16_000, "1." * 8_000])
def test_a_long_strange_answer_takes_no_time(words: str) -> None:
    begun = time.monotonic()
    common_words(words)
    rejections = Rejections(10)
    rejections.note(1, Result(Letter(1, 1, "c@example.org", b""), Verdict.FAILED, 550, words, Stage.DOT))
    assert time.monotonic() - begun < 0.1


def test_large_letters_do_not_pile_up_until_they_are_recorded(smtp_server: SmtpServer) -> None:
    def write() -> Iterator[Letter]:
        for number in range(40):
            yield Letter(number, 1, f"c{number}@example.org", (b"x" * 76 + b"\r\n") * 13_000)

    def take_all(peer: Peer) -> None:
        peer.greet()
        while True:
            peer.hear()
            peer.say("250 ok")
            peer.hear()
            peer.say("250 ok")
            peer.hear()
            peer.say("354 go on")
            while peer.file.readline() != b".\r\n":
                pass
            peer.say("250 taken")

    with scripted_server(take_all) as port:
        exchange = Exchange(partial(open_to, port), "b@sky.example", Notes(), 30)
        exchange.connect(1)
        tracemalloc.start()
        try:
            results = exchange.hand_over(write(), time.monotonic() + 60)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            exchange.close()

    assert [result.verdict for result in results] == [Verdict.SENT] * 40
    assert peak < 12 * MEBIBYTE, f"{peak / MEBIBYTE:.0f} MiB for letters of one MiB each"
