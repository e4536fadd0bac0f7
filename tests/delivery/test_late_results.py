"""Word of letters that comes after the sweep has assumed them unknown."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.ledger import record
from skymailing.delivery.smtp.session import Result, Verdict
from skymailing.extensions import db
from skymailing.models import Attempt, Delivery, DeliveryState, OnUnknown, Outcome, Run, RunState
from tests.delivery.conftest import Work
from tests.delivery.ledger import check_ledger, kept_counts, only_run, states
from tests.delivery.worker import Engage, Worker, read_journals, sweep_in
from tests.support.servers import SmtpServer


def by_record(worker: Worker, results: list[Result]) -> None:
    """The worker had only fallen asleep."""
    worker.record(results)
    worker.record(results)  # as after a commit whose answer was lost


def by_journal(worker: Worker, results: list[Result]) -> None:
    """The worker is dead, and its journal was out of the sweep's sight."""
    worker.note([result for result in results if result.verdict is not Verdict.RELEASED])
    worker.die()
    read_journals(worker.app)
    read_journals(worker.app)


TELL = pytest.mark.parametrize("tell", [by_record, by_journal])
Tell = Callable[[Worker, list[Result]], None]


def assume_unknown(worker: Worker, session: Session, sweep: Work) -> None:
    """Let the lease run out while nobody sees the journal."""
    worker.claim(lease=timedelta(seconds=-1))
    hidden = worker.journal.path.rename(worker.journal.path.with_suffix(".hidden"))
    sweep()
    hidden.rename(worker.journal.path)
    assert set(session.scalars(select(Attempt.outcome))) == {Outcome.UNKNOWN}


def reopen_with_unknowns(worker: Worker, session: Session, sweep: Work) -> None:
    """Let the worker's letters be assumed unknown, in a run that is not over; skips with one writer alone."""
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite has one writer: nobody can write while somebody else does")
    assume_unknown(worker, session, sweep)
    session.execute(update(Run).values(state=RunState.SENDING, finished_at=None))


def log(session: Session) -> set[tuple[object, ...]]:
    statement = select(Attempt.number, Attempt.outcome, Attempt.code, Attempt.answer).where(
        Attempt.number > 1
    )
    return set(session.execute(statement).tuples())


@TELL
@pytest.mark.parametrize(
    ("verdict", "code", "on_hold", "to_be_resent"),
    [
        (Verdict.SENT, 250, "sent", "sent"),
        (Verdict.FAILED, 550, "failed", "failed"),
        # With the unknown held the run is over, and nothing waits in it any more.
        (Verdict.DEFERRED, 451, "failed", "deferred"),
    ],
)
@pytest.mark.parametrize("policy", OnUnknown)
def test_late_word_settles_an_assumed_unknown_and_stands_in_the_log(
    app: Flask,
    session: Session,
    engage: Engage,
    clients: list[str],
    sweep: Work,
    smtp: SmtpServer,
    tell: Tell,
    verdict: Verdict,
    code: int,
    on_hold: str,
    to_be_resent: str,
    policy: OnUnknown,
) -> None:
    worker = engage(on_unknown=policy)
    assume_unknown(worker, session, sweep)

    tell(worker, worker.results(verdict, code))

    state = on_hold if policy is OnUnknown.HOLD else to_be_resent
    assert states(session, only_run(session)) == {state: 3}
    outcome = Outcome.FAILED if state == "failed" else Outcome(verdict)
    assert log(session) == {(2, outcome, code, "words")}
    if verdict is not Verdict.SENT:  # then the letters would have to be at the server
        check_ledger(session, only_run(session), smtp.letters)


def test_a_letter_deferred_late_is_tried_again_at_its_own_time(
    app: Flask, session: Session, engage: Engage, clients: list[str], sweep: Work, smtp: SmtpServer
) -> None:
    worker = engage(on_unknown=OnUnknown.RESEND)
    assume_unknown(worker, session, sweep)
    worker.record(worker.results(Verdict.DEFERRED, 451, "try again in 2 hours"))
    due_at: datetime = session.scalars(select(Delivery.due_at)).first() or utcnow()
    assert timedelta(hours=1.9) < due_at - utcnow() <= timedelta(hours=2)

    sweep_in(sweep, minutes=121)

    assert states(session, only_run(session)) == {"sent": 3}
    check_ledger(session, only_run(session), smtp.letters)


@pytest.mark.parametrize("policy", OnUnknown)
def test_letters_that_were_never_begun_are_sent_at_once_while_their_run_goes_on(
    app: Flask,
    session: Session,
    engage: Engage,
    clients: list[str],
    sweep: Work,
    smtp: SmtpServer,
    policy: OnUnknown,
) -> None:
    worker = engage(on_unknown=policy)
    assume_unknown(worker, session, sweep)

    by_record(worker, worker.results(Verdict.RELEASED, None, ""))
    sweep()

    # A run that is over with unknowns stays so: its owner decides.
    held = policy is OnUnknown.HOLD
    assert states(session, only_run(session)) == ({"unknown": 3} if held else {"sent": 3})
    assert only_run(session).state is RunState.FINISHED
    check_ledger(session, only_run(session), smtp.letters)


def test_a_lease_of_another_is_nobodys_late_word(
    app: Flask, session: Session, engage: Engage, clients: list[str], sweep: Work, smtp: SmtpServer
) -> None:
    """The letters were sent again meanwhile: what the first worker has to say changes nothing."""
    worker = engage(on_unknown=OnUnknown.RESEND)
    assume_unknown(worker, session, sweep)
    sweep_in(sweep, minutes=31)
    assert states(session, only_run(session)) == {"sent": 3}

    by_record(worker, worker.results(Verdict.FAILED, 550))

    assert states(session, only_run(session)) == {"sent": 3}
    check_ledger(session, only_run(session), smtp.letters)


def test_a_run_ends_only_after_late_word_that_is_being_written(
    app: Flask, session: Session, engage: Engage, clients: list[str], sweep: Work
) -> None:
    """Its last letters come back to be sent in the moment in which it would have ended."""
    worker = engage(on_unknown=OnUnknown.HOLD)
    reopen_with_unknowns(worker, session, sweep)
    results = worker.results(Verdict.DEFERRED, 451)
    with app.app_context(), db.engine.begin() as connection:
        record.record_results(connection, worker.run, worker.token, results, {}, "primary", utcnow())
        connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
        with db.engine.begin() as other:
            other.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
            with pytest.raises(Exception, match="lock timeout"):
                other.exec_driver_sql("SELECT id FROM mailings FOR UPDATE")
            other.rollback()

    assert states(session, only_run(session)) == {"deferred": 3}
    assert session.scalars(select(Delivery.state)).first() is DeliveryState.DEFERRED


def test_late_word_in_the_moment_in_which_a_run_is_verified_is_no_miscount(
    app: Flask,
    session: Session,
    engage: Engage,
    clients: list[str],
    sweep: Work,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The letters stay settled, so that nothing makes the late word wait for the end of the run."""
    worker = engage(on_unknown=OnUnknown.HOLD)
    reopen_with_unknowns(worker, session, sweep)
    told: list[str] = []

    def tell(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        if not told and statement.startswith("SELECT") and "run_intervals" in statement:
            told.append(statement)
            worker.record(worker.results(Verdict.SENT))

    with app.app_context():
        event.listen(db.engine, "after_cursor_execute", tell)
        try:
            assert plan.finish_run(worker.run.id, utcnow())
        finally:
            event.remove(db.engine, "after_cursor_execute", tell)

    assert told, "the numbers were read, and the late word came then"
    assert "has wrong counts" not in caplog.text
    assert states(session, only_run(session)) == {"sent": 3}
    assert kept_counts(session, only_run(session))["sent"] == 3
