"""Test that results are recorded even if the sweep has already marked their deliveries unknown."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.ledger import record
from skymailing.delivery.smtp.session import Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.models import Attempt, Delivery, DeliveryState, OnUnknown, Outcome, Run, RunState
from tests.delivery.conftest import Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run, get_stored_counts
from tests.delivery.worker import NewWorker, Worker, read_journals, sweep_in
from tests.support.servers import SmtpServer


def report_by_recording(worker: Worker, results: list[Result]) -> None:
    """Record the results twice, as a worker that was only stalled may do."""
    worker.record(results)
    worker.record(results)  # as if the connection had broken during the first commit


def report_by_journal(worker: Worker, results: list[Result]) -> None:
    """Recover the results twice from the journal of a dead worker, which the first sweep did not see."""
    worker.write_journal([result for result in results if result.verdict is not Verdict.RELEASED])
    worker.die()
    read_journals(worker.app)
    read_journals(worker.app)


# Two transactions must be open at once, and SQLite has a single writer.
TWO_WRITERS = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
EVERY_WAY = pytest.mark.parametrize("report", [report_by_recording, report_by_journal])
Report = Callable[[Worker, list[Result]], None]


def assume_unknown(worker: Worker, session: Session, sweep: Work) -> None:
    """Let the lease expire while the journal is hidden from the sweep."""
    worker.claim(lease=timedelta(seconds=-1))
    hidden = worker.journal.path.rename(worker.journal.path.with_suffix(".hidden"))
    sweep()
    hidden.rename(worker.journal.path)
    assert set(session.scalars(select(Attempt.outcome))) == {Outcome.UNKNOWN}


def reopen_with_unknowns(worker: Worker, session: Session, sweep: Work) -> None:
    """Mark the worker's letters unknown in a run that is still open."""
    assume_unknown(worker, session, sweep)
    session.execute(update(Run).values(state=RunState.SENDING, finished_at=None))


def read_later_attempts(session: Session) -> set[tuple[object, ...]]:
    statement = select(Attempt.number, Attempt.outcome, Attempt.code, Attempt.answer).where(
        Attempt.number > 1
    )
    return set(session.execute(statement).tuples())


@EVERY_WAY
@pytest.mark.parametrize(
    ("verdict", "code", "state_if_held", "state_if_resent"),
    [
        (Verdict.SENT, 250, "sent", "sent"),
        (Verdict.FAILED, 550, "failed", "failed"),
        # If unknown letters are held, the run has finished, so none of its deliveries may stay open.
        (Verdict.DEFERRED, 451, "failed", "deferred"),
    ],
)
@pytest.mark.parametrize("policy", OnUnknown)
def test_a_late_result_replaces_an_assumed_unknown_and_is_logged(
    app: Flask,
    session: Session,
    new_worker: NewWorker,
    clients: list[str],
    sweep: Work,
    smtp: SmtpServer,
    report: Report,
    verdict: Verdict,
    code: int,
    state_if_held: str,
    state_if_resent: str,
    policy: OnUnknown,
) -> None:
    worker = new_worker(on_unknown=policy)
    assume_unknown(worker, session, sweep)

    report(worker, worker.make_results(verdict, code))

    state = state_if_held if policy is OnUnknown.HOLD else state_if_resent
    assert count_states(session, get_only_run(session)) == {state: 3}
    outcome = Outcome.FAILED if state == "failed" else Outcome(verdict)
    assert read_later_attempts(session) == {(2, outcome, code, "text")}
    if verdict is not Verdict.SENT:  # the server never received letters marked as sent here
        check_ledger(session, get_only_run(session), smtp.letters)


def test_a_late_deferral_is_retried_when_it_is_due(
    app: Flask, session: Session, new_worker: NewWorker, clients: list[str], sweep: Work, smtp: SmtpServer
) -> None:
    worker = new_worker(on_unknown=OnUnknown.RESEND)
    assume_unknown(worker, session, sweep)
    worker.record(worker.make_results(Verdict.DEFERRED, 451, "try again in 2 hours"))
    due_at: datetime = session.scalars(select(Delivery.due_at)).first() or utcnow()
    assert timedelta(hours=1.9) < due_at - utcnow() <= timedelta(hours=2)

    sweep_in(sweep, minutes=121)

    assert count_states(session, get_only_run(session)) == {"sent": 3}
    check_ledger(session, get_only_run(session), smtp.letters)


@pytest.mark.parametrize("policy", OnUnknown)
def test_letters_that_were_never_started_are_sent_if_their_run_is_open(
    app: Flask,
    session: Session,
    new_worker: NewWorker,
    clients: list[str],
    sweep: Work,
    smtp: SmtpServer,
    policy: OnUnknown,
) -> None:
    worker = new_worker(on_unknown=policy)
    assume_unknown(worker, session, sweep)

    report_by_recording(worker, worker.make_results(Verdict.RELEASED, None, ""))
    sweep()

    # A finished run keeps its unknown letters, because the owner decides about them.
    is_held = policy is OnUnknown.HOLD
    assert count_states(session, get_only_run(session)) == ({"unknown": 3} if is_held else {"sent": 3})
    assert get_only_run(session).state is RunState.FINISHED
    check_ledger(session, get_only_run(session), smtp.letters)


def test_late_results_from_an_older_lease_are_ignored(
    app: Flask, session: Session, new_worker: NewWorker, clients: list[str], sweep: Work, smtp: SmtpServer
) -> None:
    """The letters have been sent again, so the first worker's results change nothing."""
    worker = new_worker(on_unknown=OnUnknown.RESEND)
    assume_unknown(worker, session, sweep)
    sweep_in(sweep, minutes=31)
    assert count_states(session, get_only_run(session)) == {"sent": 3}

    report_by_recording(worker, worker.make_results(Verdict.FAILED, 550))

    assert count_states(session, get_only_run(session)) == {"sent": 3}
    check_ledger(session, get_only_run(session), smtp.letters)


@TWO_WRITERS
def test_a_run_ends_only_after_late_results_have_been_recorded(
    app: Flask, session: Session, new_worker: NewWorker, clients: list[str], sweep: Work
) -> None:
    """The run's last letters become deferred just when the run would have ended."""
    worker = new_worker(on_unknown=OnUnknown.HOLD)
    reopen_with_unknowns(worker, session, sweep)
    results = worker.make_results(Verdict.DEFERRED, 451)
    with app.app_context(), db.engine.begin() as connection:
        record.record_results(connection, worker.run, worker.token, results, {}, "primary", utcnow())
        connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
        with db.engine.begin() as other:
            other.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
            with pytest.raises(Exception, match="lock timeout"):
                other.exec_driver_sql("SELECT id FROM mailings FOR UPDATE")
            other.rollback()

    assert count_states(session, get_only_run(session)) == {"deferred": 3}
    assert session.scalars(select(Delivery.state)).first() is DeliveryState.DEFERRED


@TWO_WRITERS
def test_a_late_result_during_verification_is_not_a_miscount(
    app: Flask,
    session: Session,
    new_worker: NewWorker,
    clients: list[str],
    sweep: Work,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The letters reach a final state, so the late result does not wait for the end of the run."""
    worker = new_worker(on_unknown=OnUnknown.HOLD)
    reopen_with_unknowns(worker, session, sweep)
    statements: list[str] = []

    def record_late(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        if not statements and statement.startswith("SELECT") and "run_intervals" in statement:
            statements.append(statement)
            worker.record(worker.make_results(Verdict.SENT))

    with app.app_context():
        event.listen(db.engine, "after_cursor_execute", record_late)
        try:
            assert plan.finish_run(worker.run.id, utcnow())
        finally:
            event.remove(db.engine, "after_cursor_execute", record_late)

    assert statements, "the late result arrived after the counts were read"
    assert "has wrong counts" not in caplog.text
    assert count_states(session, get_only_run(session)) == {"sent": 3}
    assert get_stored_counts(session, get_only_run(session))["sent"] == 3
