"""Leases that are believed lost or left behind, and what is known of their letters in the end."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import claims, ledger, plan, recover
from skymailing.delivery.claims import Claimed, OpenRun
from skymailing.delivery.journal import WorkerJournal, read_dead_journals
from skymailing.delivery.smtp import Letter, Result, Verdict
from skymailing.extensions import db
from skymailing.models import Attempt, Delivery, DeliveryState, OnUnknown, Outcome, Run, RunState, User
from tests.delivery.conftest import Work
from tests.delivery.ledger import check_ledger, kept_counts, only_run, states
from tests.factories import create_clients, due_mailing
from tests.servers import SmtpServer


class Worker:
    """What a worker does, step by step, so that a test can let it die or fall asleep between two of them."""

    def __init__(self, app: Flask, owner: User, **values: Any) -> None:
        self.app = app
        mailing = due_mailing(owner, **{"on_unknown": OnUnknown.HOLD} | values)
        with app.app_context():
            run_id = plan.start_due_run(mailing.id, utcnow())
            assert run_id
            self.journal = WorkerJournal(app.config["DATA_DIR"] / "journal")
            with db.engine.connect() as connection:
                self.run: OpenRun = claims.load_run(connection, run_id)
        self.token = str(uuid4())
        self.claimed: list[Claimed] = []
        self.is_dead = False

    def claim(self, lease: timedelta = timedelta(minutes=3)) -> None:
        self.journal.claim(self.token)
        with self.app.app_context(), db.engine.begin() as connection:
            self.claimed = claims.claim(connection, self.run, self.token, utcnow() + lease, 10, utcnow())

    def results(self, verdict: Verdict, code: int | None = 250, answer: str = "words") -> list[Result]:
        return [
            Result(Letter(claimed.id, claimed.attempts + 1, claimed.email, b""), verdict, code, answer)
            for claimed in self.claimed
        ]

    def die(self) -> None:
        if not self.is_dead:
            self.journal.abandon()
        self.is_dead = True

    def note(self, results: list[Result]) -> None:
        for result in results:
            self.journal.begin(result.letter)
            self.journal.end(result)

    def record(self, results: list[Result]) -> None:
        with self.app.app_context(), db.engine.begin() as connection:
            ledger.record(connection, self.run, self.token, results, {}, "primary", utcnow())


Engage = Callable[..., Worker]


@pytest.fixture
def engage(app: Flask, user: User) -> Iterator[Engage]:
    """Return a function that engages a worker for a mailing to all clients."""
    engaged: list[Worker] = []

    def do(**values: Any) -> Worker:
        engaged.append(Worker(app, user, **values))
        return engaged[-1]

    yield do
    for worker in engaged:
        worker.die()
        worker.journal.path.unlink(missing_ok=True)


@pytest.fixture
def clients(user: User) -> list[str]:
    return [client.email for client in create_clients(user, 3)]


def read_journals(app: Flask) -> None:
    """Do what a sweep does with journals, and nothing else."""
    with app.app_context():
        for journal in read_dead_journals(app.config["DATA_DIR"] / "journal"):
            recover.settle_journal(journal, utcnow())
            if recover._is_over(journal, utcnow()):
                journal.remove()


def sweep_in(sweep: Work, **duration: float) -> None:
    with time_machine.travel(utcnow() + timedelta(**duration)):
        sweep()


# --- A journal read while its worker's last transaction is still on its way ------------------------


def test_a_claim_that_is_committed_after_its_worker_died_is_not_lost(
    app: Flask, session: Session, engage: Engage, clients: list[str], sweep: Work, smtp: SmtpServer
) -> None:
    """Killed between COMMIT and its answer: the journal is read before the claim can be seen."""
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite commits in the worker's own process, which is dead")
    worker = engage()
    worker.journal.claim(worker.token)
    with app.app_context(), db.engine.begin() as connection:
        claims.claim(connection, worker.run, worker.token, utcnow() + timedelta(minutes=3), 10, utcnow())
        worker.die()
        read_journals(app)
    assert states(session, only_run(session)) == {"sending": 3}

    sweep()

    assert states(session, only_run(session)) == {"sent": 3}
    check_ledger(session, only_run(session), smtp.letters)


def test_a_record_that_is_rolled_back_after_its_worker_died_is_made_from_the_journal(
    app: Flask, session: Session, engage: Engage, clients: list[str], sweep: Work
) -> None:
    """Killed before COMMIT: the journal is read while the rows are locked, which sweeps pass over."""
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite rolls back with the worker's own process, which is dead")
    worker = engage()
    worker.claim()
    results = worker.results(Verdict.SENT)
    worker.note(results)
    with app.app_context(), db.engine.connect() as connection, connection.begin() as transaction:
        ledger.record(connection, worker.run, worker.token, results, {}, "primary", utcnow())
        worker.die()
        read_journals(app)
        transaction.rollback()
    assert states(session, only_run(session)) == {"sending": 3}

    sweep()

    assert states(session, only_run(session)) == {"sent": 3}


def test_a_dead_workers_journal_is_kept_as_long_as_a_lease_and_then_removed(
    app: Flask, session: Session, engage: Engage, clients: list[str], sweep: Work, smtp: SmtpServer
) -> None:
    worker = engage()
    worker.claim()
    worker.die()
    sweep()
    assert states(session, only_run(session)) == {"sent": 3}
    assert worker.journal.path.exists()

    sweep_in(sweep, minutes=4)

    assert not worker.journal.path.exists()


# --- Word that comes after the sweep has assumed the letters unknown --------------------------------


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
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite has one writer")
    worker = engage(on_unknown=OnUnknown.HOLD)
    assume_unknown(worker, session, sweep)
    session.execute(update(Run).values(state=RunState.SENDING, finished_at=None))
    results = worker.results(Verdict.DEFERRED, 451)
    with app.app_context(), db.engine.begin() as connection:
        ledger.record(connection, worker.run, worker.token, results, {}, "primary", utcnow())
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
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite has one writer")
    worker = engage(on_unknown=OnUnknown.HOLD)
    assume_unknown(worker, session, sweep)
    session.execute(update(Run).values(state=RunState.SENDING, finished_at=None))
    told: list[str] = []

    def tell(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        if not told and statement.startswith("SELECT") and "run_intervals" in statement:
            told.append(statement)
            worker.record(worker.results(Verdict.SENT))

    with app.app_context():
        event.listen(db.engine, "after_cursor_execute", tell)
        try:
            assert plan.settle_run(worker.run.id, utcnow())
        finally:
            event.remove(db.engine, "after_cursor_execute", tell)

    assert told, "the numbers were read, and the late word came then"
    assert "was counted wrongly" not in caplog.text
    assert states(session, only_run(session)) == {"sent": 3}
    assert kept_counts(session, only_run(session))["sent"] == 3
