"""Test handing over letters through one or more sessions, to correct and to faulty servers."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.verdicts import Verdict
from tests.delivery.handover import BODY, MemoryJournal, connect_to, hand_over, make_letters
from tests.delivery.scripted import Peer, scripted_server
from tests.faults.sink import Sink, Stage, Turn
from tests.support.servers import SmtpServer


def get_outcome(port: int, **options: float) -> tuple[Verdict, int | None, str]:
    (result,), _ = hand_over(port, **options)  # type: ignore[arg-type]
    return result.verdict, result.code, result.answer


def test_every_letter_arrives_once_and_unchanged(smtp_server: SmtpServer) -> None:
    smtp_server.clear()

    results, journal = hand_over(smtp_server.port, count=50, sessions=5)

    assert {result.verdict for result in results} == {Verdict.SENT}
    assert sorted(result.letter.delivery_id for result in results) == list(range(50))
    assert smtp_server.per_address() == {f"c{number}@example.org": 1 for number in range(50)}
    assert {letter.content for letter in smtp_server.letters} == {BODY}
    assert sorted(journal.begun) == list(range(50))
    smtp_server.clear()


def test_with_pipelining_the_next_envelope_immediately_follows_a_body() -> None:
    seen: list[str] = []

    def serve(peer: Peer) -> None:
        peer.greet("PIPELINING")
        for number in range(3):
            seen.append(peer.read())
            if number:
                peer.send("250 accepted")  # sent late, because the client must not wait for it
            peer.read()
            peer.read()
            peer.send("250 ok\r\n250 ok\r\n354 go")
            peer.read_body()
        peer.send("250 accepted")

    with scripted_server(serve) as port:
        results, _ = hand_over(port, count=3)

    assert [result.verdict for result in results] == [Verdict.SENT] * 3
    assert seen == ["MAIL FROM:<bounce@sky.example>"] * 3


def refuse_at(stage: str, reply: str | bytes) -> Callable[[Peer], None]:
    """Return a dialogue that sends `reply` at the stage and behaves correctly otherwise."""

    def serve(peer: Peer) -> None:
        peer.greet()
        for expected in ("MAIL", "RCPT", "DATA"):
            peer.read()
            if stage == expected:
                peer.send(reply)
                peer.read()  # RSET, or nothing
                peer.send("250 reset")
                return
            peer.send("354 go" if expected == "DATA" else "250 ok")
        peer.read_body()
        peer.send(reply)
        peer.read()

    return serve


@pytest.mark.parametrize(
    ("stage", "reply", "verdict"),
    [
        ("MAIL", "451 later", Verdict.THROTTLED),
        ("MAIL", "421 too busy", Verdict.ROUTE_FAULT),
        ("MAIL", "530 sign in first", Verdict.ROUTE_FAULT),
        ("MAIL", "550 sender unwelcome", Verdict.SENDER_REFUSED),
        ("MAIL", "999 what", Verdict.DEFERRED),
        ("RCPT", "451 greylisted", Verdict.DEFERRED),
        ("RCPT", "550 5.1.1 no such user", Verdict.FAILED),
        ("RCPT", "421 going down", Verdict.ROUTE_FAULT),
        ("DATA", "451 no space", Verdict.DEFERRED),
        ("DATA", "554 no valid recipients", Verdict.FAILED),
        ("DATA", "250 strange", Verdict.DEFERRED),
        ("DOT", "250 accepted", Verdict.SENT),
        ("DOT", "252 accepted, perhaps", Verdict.SENT),
        ("DOT", "299 accepted", Verdict.SENT),
        ("DOT", "452 later", Verdict.DEFERRED),
        ("DOT", "552 too large", Verdict.FAILED),
        ("DOT", "421 going down", Verdict.ROUTE_FAULT),
        ("DOT", "354 more", Verdict.UNKNOWN),
        ("DOT", "999 what", Verdict.UNKNOWN),
    ],
)
def test_each_reply_leads_to_its_verdict(stage: str, reply: str, verdict: Verdict) -> None:
    with scripted_server(refuse_at(stage, reply)) as port:
        assert get_outcome(port) == (verdict, int(reply[:3]), reply[4:])


def break_at(stage: str, misbehave: Callable[[Peer], None]) -> Callable[[Peer], None]:
    def serve(peer: Peer) -> None:
        peer.greet()
        for expected in ("MAIL", "RCPT", "DATA"):
            peer.read()
            if stage == expected:
                misbehave(peer)
                return
            peer.send("354 go" if expected == "DATA" else "250 ok")
        peer.read_body()
        misbehave(peer)

    return serve


def hang_up(peer: Peer) -> None:
    peer.connection.close()
    peer.file.close()


def say_garbage(peer: Peer) -> None:
    peer.send(b"\x00\xff\xfe garbage \x80\r\n")
    time.sleep(1)


def never_end(peer: Peer) -> None:
    while True:
        peer.send(b"x" * 4096)


def reply_endlessly(peer: Peer) -> None:
    while True:
        peer.send("250-still here")
        time.sleep(0.1)


def fall_silent(peer: Peer) -> None:
    while peer.connection.recv(65_536):
        pass


@pytest.mark.parametrize("misbehave", [hang_up, say_garbage, never_end, reply_endlessly, fall_silent])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_letter_is_unknown_only_if_the_session_breaks_after_the_dot(
    stage: str, misbehave: Callable[[Peer], None]
) -> None:
    with scripted_server(break_at(stage, misbehave)) as port:
        verdict, code, reason = get_outcome(port, seconds=0.7)

    assert verdict is (Verdict.UNKNOWN if stage == "DOT" else Verdict.DEFERRED)
    assert code is None
    assert reason


def test_a_slow_reply_within_the_deadline_counts() -> None:
    def serve(peer: Peer) -> None:
        peer.greet()
        peer.accept()

    def accept_slowly(peer: Peer) -> None:
        time.sleep(0.5)
        peer.send("250 accepted at last")

    with scripted_server(break_at("DOT", accept_slowly)) as port:
        assert get_outcome(port, seconds=3)[0] is Verdict.SENT


def test_a_reply_counts_even_if_garbage_follows_it_immediately() -> None:
    def accept_with_garbage(peer: Peer) -> None:
        peer.send(b"250 2.0.0 queued as 17\r\n\xff\xfe\r\n")

    with scripted_server(break_at("DOT", accept_with_garbage)) as port:
        assert get_outcome(port) == (Verdict.SENT, 250, "2.0.0 queued as 17")


def test_an_empty_body_is_sent_if_354_follows_a_refused_recipient() -> None:
    """RFC 2920 allows a server to reply 354 to DATA even if it has refused every recipient."""
    accepted: list[str] = []

    def serve(peer: Peer) -> None:
        peer.greet("PIPELINING")
        for _ in range(3):
            peer.read()
        peer.send("250 ok\r\n550 5.1.1 no such user\r\n354 go")
        accepted.append(peer.read_body())
        peer.send("554 no valid recipients")
        accepted.append(peer.accept())

    with scripted_server(serve) as port:
        results, _ = hand_over(port, count=2)

    assert [result.verdict for result in results] == [Verdict.FAILED, Verdict.SENT]
    assert accepted == ["", "c1@example.org"]


def test_no_attempt_is_counted_if_the_server_ends_a_session_between_letters() -> None:
    def accept_one(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.accept()

    with scripted_server(accept_one) as port:
        results, _ = hand_over(port, count=3)

    assert [result.verdict for result in results] == [Verdict.SENT, Verdict.RELEASED]


def test_a_route_fault_stops_the_rest_of_the_window() -> None:
    with scripted_server(refuse_at("MAIL", "421 no")) as port:
        results, journal = hand_over(port, count=10)

    assert [result.verdict for result in results] == [Verdict.ROUTE_FAULT]
    assert journal.begun == []


def test_a_server_that_asks_for_more_after_the_dot_gets_no_further_letter() -> None:
    """Such a server might read our commands as a body."""
    received: list[str] = []

    def ask_for_more(peer: Peer) -> None:
        peer.greet()
        for reply in ("250 ok", "250 ok", "354 go"):
            peer.read()
            peer.send(reply)
        peer.read_body()
        peer.send("354 more please")
        received.append(peer.read())

    with scripted_server(ask_for_more) as port:
        results, _ = hand_over(port, count=2)

    assert [result.verdict for result in results] == [Verdict.UNKNOWN]
    assert received == ["QUIT"]


def test_no_letter_is_started_after_the_deadline(smtp_server: SmtpServer) -> None:
    results, _ = hand_over(smtp_server.port, count=5, until=-1)

    assert results == []


def test_a_lost_session_does_not_affect_the_others(smtp_server: SmtpServer) -> None:
    ports = iter([smtp_server.port, smtp_server.port])
    journal = MemoryJournal()
    with scripted_server(break_at("RCPT", hang_up)) as dead:
        pipeline = Pipeline(lambda: connect_to(next(ports, dead)), "b@sky.example", journal, 5)
        pipeline.connect(3)
        results = pipeline.hand_over(make_letters(30), time.monotonic() + 30)
        pipeline.close()

    verdicts = sorted(result.verdict for result in results)
    assert verdicts == [Verdict.DEFERRED] + [Verdict.SENT] * 29
    smtp_server.clear()


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
def test_no_reset_follows_a_refused_mail(extensions: tuple[str, ...]) -> None:
    """No transaction was begun, and servers end a session after some commands that transfer no letter."""
    received: list[str] = []

    def refuse_mail(turn: Turn) -> None:
        received.append(turn.stage)
        if turn.stage is Stage.MAIL:
            turn.say("450 4.7.1 too much mail")

    journal = MemoryJournal()
    with Sink(refuse_mail, extensions=extensions) as sink:
        pipeline = Pipeline(partial(connect_to, sink.port), "bounce@sky.example", journal, 5)
        pipeline.connect(1)
        for _ in range(12):
            (result,) = pipeline.hand_over(make_letters(5), time.monotonic() + 5)
            assert (result.verdict, result.code) == (Verdict.THROTTLED, 450)
        pipeline.close()

    assert sink.connections == 1, "the session stays open"
    assert received.count(Stage.MAIL) == 12
    assert Stage.RSET not in received


def test_a_refused_recipient_still_ends_the_transaction(smtp_server: SmtpServer) -> None:
    smtp_server.clear()
    smtp_server.rcpt_replies["c0@example.org"] = "550 5.1.1 unknown"

    results, _ = hand_over(smtp_server.port, count=2)

    assert [result.verdict for result in results] == [Verdict.FAILED, Verdict.SENT]
    smtp_server.clear()
