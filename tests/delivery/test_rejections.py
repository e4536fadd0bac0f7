"""Test that a mailing is paused when a mail server keeps rejecting its letters for the same reason."""

from sqlalchemy.orm import Session

from skymailing.delivery.routing.rejections import Rejections
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Stage, Verdict
from skymailing.models import MailingState, User
from tests.delivery.conftest import ServeFrom, Work
from tests.delivery.ledger import count_states, get_only_run
from tests.delivery.scripted import Peer, scripted_server
from tests.faults.sink import Sink, Turn
from tests.faults.sink import Stage as ServerStage
from tests.support.factories import create_clients, due_mailing

SESSIONS = 20  # the maximum per worker


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


def test_ten_rejections_stop_a_large_window_immediately(
    session: Session, user: User, serve_from: ServeFrom, sweep: Work
) -> None:
    """Check that no letter is started after the tenth rejection, in a run whose windows are already large."""
    mailing = due_mailing(user)
    create_clients(user, 400)

    def reject_later(turn: Turn) -> None:
        if turn.stage is ServerStage.DOT and len(turn.sink.letters) >= 150:
            turn.say("554 5.7.1 looks like spam")

    with Sink(reject_later) as sink:
        serve_from(sink.port)
        sweep()

    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    counts = count_states(session, get_only_run(session))
    assert 10 <= counts["failed"] <= 10 + 2 * SESSIONS, "those in progress, and the envelopes after them"
    assert counts["sent"] == len(sink.letters)
    assert counts["pending"] == 400 - counts["sent"] - counts["failed"]


def test_rejections_are_counted_separately_for_each_mailing() -> None:
    letter = Letter(1, 1, "a@example.org", b"")
    refused = Result(letter, Verdict.FAILED, 554, "5.7.1 spam (id 17)", Stage.DOT)
    rejections = Rejections(3)

    assert [rejections.record(run, refused) for run in (1, 2, 1, 2, 1, 2)] == [False] * 4 + [True] * 2
    assert [rejections.record(1, refused) for _ in range(2)] == [False] * 2
    rejections.record(1, Result(letter, Verdict.SENT, 250, "ok", Stage.DOT))
    assert [rejections.record(1, refused) for _ in range(3)] == [False, False, True]
