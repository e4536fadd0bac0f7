"""Test that a mailing is paused when a mail server keeps rejecting its letters for the same reason."""

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.delivery.routing.rejections import EXPIRY_WHEN_FULL, Rejections
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Stage, Verdict
from skymailing.models import Mailing, MailingState, Suppression, User
from tests.delivery.conftest import ServeFrom, Work
from tests.delivery.ledger import count_states, get_only_run
from tests.delivery.scripted import Peer, scripted_server
from tests.faults.sink import Script, Sink, Turn
from tests.faults.sink import Stage as At
from tests.faults.workers import add_clients, live_run, wait_for_letters
from tests.processes.service import wait_until
from tests.support.factories import create_clients, due_mailing

# Rejections are counted in Redis.
pytestmark = pytest.mark.one_engine


def reject_each(peer: Peer) -> None:
    peer.greet()
    number = 0
    while True:
        peer.read()
        peer.send("250 ok")
        peer.read()
        peer.send("250 ok")
        peer.read()
        peer.send("354 go")
        peer.read_body()
        number += 1
        peer.send(f"554 5.7.1 looks like spam (id {number})")


@pytest.mark.both_engines
def test_ten_equal_rejections_in_a_row_pause_the_mailing(
    session: Session, user: User, serve_from: ServeFrom, sweep: Work
) -> None:
    mailing = due_mailing(user)
    create_clients(user, 60)
    with scripted_server(reject_each) as port:
        serve_from(port)
        sweep()

    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert mailing.state_reason.startswith("rejected: 554 5.7.1 looks like spam")
    assert count_states(session, get_only_run(session)) == {"failed": 10, "pending": 50}


@pytest.mark.both_engines
def test_ten_rejections_stop_a_large_window_immediately(
    session: Session, user: User, serve_from: ServeFrom, sweep: Work
) -> None:
    """Check that no letter is started after the tenth rejection, in a run whose windows are already large."""
    mailing = due_mailing(user)
    create_clients(user, 400)

    def reject_later(turn: Turn) -> None:
        if turn.stage is At.DOT and len(turn.sink.letters) >= 150:
            turn.say("554 5.7.1 looks like spam")

    with Sink(reject_later) as sink:
        serve_from(sink.port)
        sweep()

    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    counts = count_states(session, get_only_run(session))
    assert counts["failed"] == 10, "letters in progress at that time return to pending"
    assert counts["sent"] == len(sink.letters)
    assert counts["pending"] == 400 - counts["sent"] - counts["failed"]


def refuse_recipients(reply: str) -> Script:
    def refuse(turn: Turn) -> None:
        if turn.stage is At.RCPT:
            turn.say(reply.replace("ADDRESS", turn.recipient))

    return refuse


def send_to_refusing_server(
    session: Session, user: User, serve_from: ServeFrom, sweep: Work, reply: str, count: int
) -> Mailing:
    """Send a mailing to a server that refuses each recipient with this reply; return it."""
    mailing = due_mailing(user)
    create_clients(user, count)
    with Sink(refuse_recipients(reply)) as sink:
        serve_from(sink.port)
        sweep()
    session.refresh(mailing)
    return mailing


@pytest.mark.parametrize(
    "reply",
    [
        "554 5.7.1 <ADDRESS>: Relay access denied",
        "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname",
        "553 5.7.1 <news@sky.example>: Sender address rejected: not owned by user sky",
        "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.example",
        "550 relay not permitted",
    ],
)
def test_ten_equal_refusals_of_our_access_pause_the_mailing(
    session: Session, user: User, serve_from: ServeFrom, sweep: Work, reply: str
) -> None:
    mailing = send_to_refusing_server(session, user, serve_from, sweep, reply, 60)
    assert mailing.state is MailingState.PAUSED
    assert reply.partition("ADDRESS")[0] in mailing.state_reason
    assert count_states(session, get_only_run(session)) == {"failed": 10, "pending": 50}
    assert session.scalar(select(func.count()).select_from(Suppression)) == 0


@pytest.mark.both_engines
@pytest.mark.parametrize("reply", ["550 5.1.1 User unknown", "550 Unrouteable address", "552 5.2.2 Full"])
def test_dead_addresses_do_not_pause_the_mailing(
    session: Session, user: User, serve_from: ServeFrom, sweep: Work, reply: str
) -> None:
    mailing = send_to_refusing_server(session, user, serve_from, sweep, reply, 30)
    assert mailing.state is MailingState.FINISHED
    assert count_states(session, get_only_run(session)) == {"failed": 30}


def test_workers_with_many_sessions_stop_after_ten_refusals_together(
    app: Flask, environment: dict[str, str], session: Session, user: User
) -> None:
    """The refusals begin in the middle of a run, when both workers use many sessions and large windows."""
    add_clients(session, user, 1500)
    mailing = due_mailing(user)

    def refuse_later(turn: Turn) -> None:
        if turn.stage is At.RCPT and len(turn.sink.letters) >= 300:
            turn.say("554 5.7.1 Relay access denied")

    with Sink(refuse_later) as sink:
        settings = environment | {"MAIL_PORT": str(sink.port), "WORKERS": "2"}
        with live_run(app, settings, session, mailing) as run:
            wait_for_letters(sink, 300)
            wait_until(lambda: is_paused(session, mailing), "the mailing is paused")
            run.sweep()

    counts = count_states(session, get_only_run(session))
    assert counts["sent"] == len(sink.letters)
    # There are a few more than ten if a letter that the server had accepted before ends the first series of
    # refusals.
    assert 10 <= counts["failed"] < 20
    assert counts["pending"] == 1500 - counts["sent"] - counts["failed"]


def is_paused(session: Session, mailing: Mailing) -> bool:
    session.refresh(mailing)
    return mailing.state is MailingState.PAUSED


def test_rejections_are_counted_separately_for_each_mailing(app: Flask, session: Session) -> None:
    letter = Letter(1, 1, "a@example.org", b"")
    refused = Result(letter, Verdict.FAILED, 554, "5.7.1 spam (id 17)", Stage.DOT)
    with app.app_context():
        rejections = Rejections(3)
        assert [rejections.record(run, refused) for run in (1, 2, 1, 2, 1, 2)] == [1, 1, 2, 2, 3, 3]
        assert [rejections.record(3, refused) for _ in range(2)] == [1, 2]
        rejections.record(3, Result(letter, Verdict.SENT, 250, "ok", Stage.DOT))
        assert [rejections.record(3, refused) for _ in range(3)] == [1, 2, 3]


def test_only_a_few_letters_are_started_until_one_has_been_accepted(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "WORKERS", 2)
    letter = Letter(1, 1, "a@example.org", b"")
    with app.app_context():
        rejections = Rejections(10)
        assert rejections.count_allowed(1) == 5
        for _ in range(6):
            assert rejections.count_allowed(1)
            rejections.record(1, Result(letter, Verdict.FAILED, 554, "5.7.1 spam", Stage.RCPT))
        assert rejections.count_allowed(1) == 2
        rejections.record(1, Result(letter, Verdict.SENT, 250, "ok", Stage.DOT))
        assert rejections.count_allowed(1) is None


def test_a_full_count_is_soon_forgotten(app: Flask, session: Session) -> None:
    """The owner may resume the mailing, and one refusal must not pause it again."""
    with app.app_context():
        rejections = Rejections(3)
        refused = Result(Letter(1, 1, "c@example.org", b""), Verdict.FAILED, 554, "5.7.1 spam", Stage.DOT)
        assert [rejections.record(7, refused) for _ in range(5)] == [1, 2, 3, 4, 5]
        assert 0 < int(queue.connection().ttl("skymailing:rejections:7")) <= EXPIRY_WHEN_FULL
    assert EXPIRY_WHEN_FULL <= 10
