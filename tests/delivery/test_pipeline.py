"""Handing letters over, one to many sessions, to servers that behave and to such as do not."""

import time
from collections.abc import Callable

import pytest

from skymailing.delivery.smtp.pipeline import Exchange
from skymailing.delivery.smtp.session import Verdict
from tests.delivery.handing import BODY, Notes, hand_over, letters, open_to
from tests.delivery.scripted import Peer, scripted_server
from tests.support.servers import SmtpServer


def outcome(port: int, **options: float) -> tuple[Verdict, int | None, str]:
    (result,), _ = hand_over(port, **options)  # type: ignore[arg-type]
    return result.verdict, result.code, result.answer


def test_every_letter_arrives_once_and_byte_for_byte(smtp_server: SmtpServer) -> None:
    smtp_server.clear()

    results, notes = hand_over(smtp_server.port, count=50, sessions=5)

    assert {result.verdict for result in results} == {Verdict.SENT}
    assert sorted(result.letter.delivery_id for result in results) == list(range(50))
    assert smtp_server.per_address() == {f"c{number}@example.org": 1 for number in range(50)}
    assert {letter.content for letter in smtp_server.letters} == {BODY}
    assert sorted(notes.begun) == list(range(50))
    smtp_server.clear()


def test_the_next_envelope_rides_behind_a_body_when_the_server_pipelines() -> None:
    seen: list[str] = []

    def serve(peer: Peer) -> None:
        peer.greet("PIPELINING")
        for number in range(3):
            seen.append(peer.hear())
            if number:
                peer.say("250 taken")  # only now: the client did not wait for it
            peer.hear()
            peer.hear()
            peer.say("250 ok\r\n250 ok\r\n354 go")
            peer.body()
        peer.say("250 taken")

    with scripted_server(serve) as port:
        results, _ = hand_over(port, count=3)

    assert [result.verdict for result in results] == [Verdict.SENT] * 3
    assert seen == ["MAIL FROM:<bounce@sky.example>"] * 3


def refuse_at(stage: str, reply: str) -> Callable[[Peer], None]:
    """Return a dialogue that gives `reply` at the stage and is fine before it and afterwards."""

    def serve(peer: Peer) -> None:
        peer.greet()
        for expected in ("MAIL", "RCPT", "DATA"):
            peer.hear()
            if stage == expected:
                peer.say(reply)
                peer.hear()  # RSET or nothing
                peer.say("250 reset")
                return
            peer.say("354 go" if expected == "DATA" else "250 ok")
        peer.body()
        peer.say(reply)
        peer.hear()

    return serve


@pytest.mark.parametrize(
    ("stage", "reply", "verdict"),
    [
        ("MAIL", "451 later", Verdict.DEFERRED),
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
        ("DOT", "250 taken", Verdict.SENT),
        ("DOT", "252 taken, perhaps", Verdict.SENT),
        ("DOT", "299 taken", Verdict.SENT),
        ("DOT", "452 later", Verdict.DEFERRED),
        ("DOT", "552 too large", Verdict.FAILED),
        ("DOT", "421 going down", Verdict.ROUTE_FAULT),
        ("DOT", "354 more", Verdict.UNKNOWN),
        ("DOT", "999 what", Verdict.UNKNOWN),
    ],
)
def test_a_reply_means_what_the_table_says(stage: str, reply: str, verdict: Verdict) -> None:
    with scripted_server(refuse_at(stage, reply)) as port:
        assert outcome(port) == (verdict, int(reply[:3]), reply[4:])


def break_at(stage: str, misdeed: Callable[[Peer], None]) -> Callable[[Peer], None]:
    def serve(peer: Peer) -> None:
        peer.greet()
        for expected in ("MAIL", "RCPT", "DATA"):
            peer.hear()
            if stage == expected:
                misdeed(peer)
                return
            peer.say("354 go" if expected == "DATA" else "250 ok")
        peer.body()
        misdeed(peer)

    return serve


def hang_up(peer: Peer) -> None:
    peer.connection.close()
    peer.file.close()


def say_garbage(peer: Peer) -> None:
    peer.say(b"\x00\xff\xfe garbage \x80\r\n")
    time.sleep(1)


def never_end(peer: Peer) -> None:
    while True:
        peer.say(b"x" * 4096)


def drip(peer: Peer) -> None:
    while True:
        peer.say("250-still here")
        time.sleep(0.1)


def fall_silent(peer: Peer) -> None:
    time.sleep(3)


@pytest.mark.parametrize("misdeed", [hang_up, say_garbage, never_end, drip, fall_silent])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_broken_conversation_is_unknown_only_after_the_dot(
    stage: str, misdeed: Callable[[Peer], None]
) -> None:
    with scripted_server(break_at(stage, misdeed)) as port:
        verdict, code, answer = outcome(port, seconds=0.7)

    assert verdict is (Verdict.UNKNOWN if stage == "DOT" else Verdict.DEFERRED)
    assert code is None
    assert answer


def test_a_slow_answer_inside_the_deadline_is_an_answer() -> None:
    def serve(peer: Peer) -> None:
        peer.greet()
        peer.accept()

    def slowly(peer: Peer) -> None:
        time.sleep(0.5)
        peer.say("250 taken at last")

    with scripted_server(break_at("DOT", slowly)) as port:
        assert outcome(port, seconds=3)[0] is Verdict.SENT


def test_an_answer_counts_although_nonsense_follows_it_at_once() -> None:
    def chatter(peer: Peer) -> None:
        peer.say(b"250 2.0.0 queued as 17\r\n\xff\xfe\r\n")

    with scripted_server(break_at("DOT", chatter)) as port:
        assert outcome(port) == (Verdict.SENT, 250, "2.0.0 queued as 17")


def test_an_empty_letter_ends_a_354_given_without_a_recipient() -> None:
    """RFC 2920 allows a server to say 354 to DATA although every recipient was refused."""
    taken: list[str] = []

    def serve(peer: Peer) -> None:
        peer.greet("PIPELINING")
        for _ in range(3):
            peer.hear()
        peer.say("250 ok\r\n550 5.1.1 nobody\r\n354 go")
        taken.append(peer.body())
        peer.say("554 no valid recipients")
        taken.append(peer.accept())

    with scripted_server(serve) as port:
        results, _ = hand_over(port, count=2)

    assert [result.verdict for result in results] == [Verdict.FAILED, Verdict.SENT]
    assert taken == ["", "c1@example.org"]


def test_a_session_that_the_server_ends_between_letters_costs_nobody_an_attempt() -> None:
    def one_only(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.accept()

    with scripted_server(one_only) as port:
        results, _ = hand_over(port, count=3)

    assert [result.verdict for result in results] == [Verdict.SENT, Verdict.RELEASED]


def test_a_fault_of_the_route_stops_the_rest_of_the_window() -> None:
    with scripted_server(refuse_at("MAIL", "421 no")) as port:
        results, notes = hand_over(port, count=10)

    assert [result.verdict for result in results] == [Verdict.ROUTE_FAULT]
    assert notes.begun == []


def test_a_server_that_asks_for_more_after_the_dot_gets_no_other_letter() -> None:
    """It may take for a body what we mean as commands."""
    heard: list[str] = []

    def want_more(peer: Peer) -> None:
        peer.greet()
        for reply in ("250 ok", "250 ok", "354 go"):
            peer.hear()
            peer.say(reply)
        peer.body()
        peer.say("354 more please")
        heard.append(peer.hear())

    with scripted_server(want_more) as port:
        results, _ = hand_over(port, count=2)

    assert [result.verdict for result in results] == [Verdict.UNKNOWN]
    assert heard == ["QUIT"]


def test_no_letter_is_begun_after_its_time(smtp_server: SmtpServer) -> None:
    results, _ = hand_over(smtp_server.port, count=5, until=-1)

    assert results == []


def test_one_dead_session_does_not_harm_the_others(smtp_server: SmtpServer) -> None:
    ports = iter([smtp_server.port, smtp_server.port])
    notes = Notes()
    with scripted_server(break_at("RCPT", hang_up)) as dead:
        exchange = Exchange(lambda: open_to(next(ports, dead)), "b@sky.example", notes, 5)
        exchange.connect(3)
        results = exchange.hand_over(letters(30), time.monotonic() + 30)
        exchange.close()

    verdicts = sorted(result.verdict for result in results)
    assert verdicts == [Verdict.DEFERRED] + [Verdict.SENT] * 29
    smtp_server.clear()
