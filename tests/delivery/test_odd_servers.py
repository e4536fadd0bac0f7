"""Test servers that reply too early, contradict themselves or send long unusual replies."""

import time
import tracemalloc
from collections.abc import Iterator
from functools import partial

import pytest
from flask import Flask

from skymailing.delivery.ledger.run_counts import generalize_reply
from skymailing.delivery.routing.rejections import Rejections
from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Stage, Verdict
from tests.delivery.handover import MemoryJournal, connect_to, hand_over
from tests.delivery.scripted import Peer, scripted_server
from tests.faults.sink import Sink, Turn
from tests.faults.sink import Stage as At
from tests.support.servers import SmtpServer
from tests.support.timing import cpu_seconds

# The dialogue with a mail server does not depend on the database.
pytestmark = pytest.mark.one_engine

MEBIBYTE = 1024 * 1024


def read_until_closed(peer: Peer) -> bytes:
    return peer.file.read()


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
def test_an_acceptance_before_the_letter_does_not_count(extensions: tuple[str, ...]) -> None:
    """Check that nothing was written that the server could have accepted."""
    received: list[bytes] = []

    def agree_to_everything(peer: Peer) -> None:
        peer.greet(*extensions)
        peer.read()
        peer.send("250 ok\r\n250 ok\r\n354 go on\r\n250 2.0.0 accepted\r\n" * 5)
        received.append(read_until_closed(peer))

    with scripted_server(agree_to_everything) as port:
        results, _ = hand_over(port, count=5)

    assert Verdict.SENT not in {result.verdict for result in results}
    assert Verdict.UNKNOWN not in {result.verdict for result in results}
    assert b"\r\n.\r\n" not in received[0]


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("250 2.0.0 accepted", Verdict.DEFERRED),
        ("354 more", Verdict.DEFERRED),
        ("451 4.3.0 not now", Verdict.DEFERRED),
        ("552 5.3.4 too big", Verdict.FAILED),
        ("421 4.3.2 shutting down", Verdict.ROUTE_FAULT),
    ],
)
def test_a_reply_during_the_body_ends_the_session_before_the_dot(reply: str, verdict: Verdict) -> None:
    # More data than a socket accepts at once.
    large = Letter(1, 1, "c@example.org", (b"x" * 998 + b"\r\n") * 16_000)
    received: list[bytes] = []

    def interrupt(peer: Peer) -> None:
        peer.greet()
        for accepted in ("250 ok", "250 ok", "354 go on"):
            peer.read()
            peer.send(accepted)
        peer.read()
        peer.send(reply)
        received.append(read_until_closed(peer))

    with scripted_server(interrupt) as port:
        pipeline = Pipeline(partial(connect_to, port), "b@sky.example", MemoryJournal(), 5)
        pipeline.connect(1)
        (result,) = pipeline.hand_over([large], time.monotonic() + 30)
        pipeline.close()

    assert result.verdict is verdict
    assert not received[0].endswith(b"\r\n.\r\n")


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize(
    ("reply", "verdict"),
    [("550 5.1.1 no such user", Verdict.FAILED), ("451 4.7.1 greylisted", Verdict.DEFERRED)],
)
def test_a_refusal_counts_even_if_the_server_then_hangs_up(
    extensions: tuple[str, ...], reply: str, verdict: Verdict
) -> None:
    def refuse_and_hang_up(peer: Peer) -> None:
        peer.greet(*extensions)
        peer.read()
        peer.send("250 ok")
        peer.read()
        peer.send(reply)

    with scripted_server(refuse_and_hang_up) as port:
        (result,), _ = hand_over(port)

    assert (result.verdict, result.code, result.stage) == (verdict, int(reply[:3]), Stage.RCPT)
    assert result.answer == reply[4:]


def test_an_out_of_step_server_gets_no_further_letter_after_a_refusal() -> None:
    """Each reply would be matched to the wrong command, because the server sent one reply too many."""

    def reply_once_too_often(peer: Peer) -> None:
        peer.greet()
        peer.read()
        peer.send("250 ok")
        peer.read()
        peer.send("550 5.7.1 no")
        peer.read()
        peer.send("354 go on")
        received.append(peer.read())

    received: list[str] = []
    with scripted_server(reply_once_too_often) as port:
        results, _ = hand_over(port, count=2)

    assert [result.verdict for result in results] == [Verdict.FAILED]
    assert received == ["QUIT"]


@pytest.mark.parametrize("reply", ["a" * 16_000, "a-" * 8_000, "<" * 16_000, "1." * 8_000])
def test_a_long_unusual_reply_is_processed_quickly(app: Flask, reply: str) -> None:
    refused = Result(Letter(1, 1, "c@example.org", b""), Verdict.FAILED, 550, reply, Stage.RCPT)
    with app.app_context():
        rejections = Rejections(10)
        rejections.record(1, refused._replace(answer="no"))  # connects to Redis
        with cpu_seconds(0.1):
            generalize_reply(reply)
            rejections.record(1, refused)


def test_the_bodies_of_large_letters_are_not_kept_in_memory(smtp_server: SmtpServer) -> None:
    def generate() -> Iterator[Letter]:
        for number in range(40):
            yield Letter(number, 1, f"c{number}@example.org", (b"x" * 76 + b"\r\n") * 13_000)

    def accept_all(peer: Peer) -> None:
        peer.greet()
        while True:
            peer.read()
            peer.send("250 ok")
            peer.read()
            peer.send("250 ok")
            peer.read()
            peer.send("354 go on")
            while peer.file.readline() != b".\r\n":
                pass
            peer.send("250 accepted")

    with scripted_server(accept_all) as port:
        pipeline = Pipeline(partial(connect_to, port), "b@sky.example", MemoryJournal(), 30)
        pipeline.connect(1)
        tracemalloc.start()
        try:
            results = pipeline.hand_over(generate(), time.monotonic() + 60)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            pipeline.close()

    assert [result.verdict for result in results] == [Verdict.SENT] * 40
    assert peak < 12 * MEBIBYTE, f"{peak / MEBIBYTE:.0f} MiB for letters of one MiB each"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "5.2.2 Ящик переполнен: user@example.org"),
        ("cp1251", "5.2.2 Ящик переполнен: user@example.org"),
        ("utf-8", "5.2.2 Boîte pleine à 100 %"),
        ("latin-1", "5.2.2 Boîte pleine à 100 %"),
    ],
)
def test_a_reply_in_an_older_encoding_stays_readable(encoding: str, text: str) -> None:

    def refuse(turn: Turn) -> None:
        if turn.stage is At.RCPT:
            turn.say(f"550 {text}\r\n".encode(encoding))

    with Sink(refuse) as sink:
        ((result,), _) = hand_over(sink.port)

    assert (result.verdict, result.code, result.answer) == (Verdict.FAILED, 550, text)
