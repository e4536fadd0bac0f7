"""Test that a dead worker's journal can be read during its last transaction or long afterwards."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.ledger import claims, record
from skymailing.delivery.recovery import sweep as recovery
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from tests.delivery.conftest import Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.worker import NewWorker, read_journals, sweep_in
from tests.support.servers import SmtpServer


# SQLite commits in the worker's own process, which has ended.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_claim_committed_after_the_worker_died_is_not_lost(
    app: Flask, session: Session, new_worker: NewWorker, clients: list[str], sweep: Work, smtp: SmtpServer
) -> None:
    """The worker is killed before COMMIT returns; the journal is read before the claim is visible."""
    worker = new_worker()
    worker.journal.claim(worker.token)
    with app.app_context(), db.engine.begin() as connection:
        claims.claim(connection, worker.run, worker.token, utcnow() + timedelta(minutes=3), 10, utcnow())
        worker.die()
        read_journals(app)
    assert count_states(session, get_only_run(session)) == {"sending": 3}

    sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 3}
    check_ledger(session, get_only_run(session), smtp.letters)


# SQLite rolls back when the worker's own process ends.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_results_rolled_back_after_the_worker_died_are_recorded_from_the_journal(
    app: Flask, session: Session, new_worker: NewWorker, clients: list[str], sweep: Work
) -> None:
    """The worker is killed before COMMIT; the journal is read while its rows are locked and skipped."""
    worker = new_worker()
    worker.claim()
    results = worker.make_results(Verdict.SENT)
    worker.write_journal(results)
    with app.app_context(), db.engine.connect() as connection, connection.begin() as transaction:
        record.record_results(connection, worker.run, worker.token, results, {}, "primary", utcnow())
        worker.die()
        read_journals(app)
        transaction.rollback()
    assert count_states(session, get_only_run(session)) == {"sending": 3}

    sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 3}


def test_a_dead_workers_journal_is_kept_as_long_as_a_lease_and_then_removed(
    app: Flask, session: Session, new_worker: NewWorker, clients: list[str], sweep: Work, smtp: SmtpServer
) -> None:
    worker = new_worker()
    worker.claim()
    worker.die()
    sweep()
    assert count_states(session, get_only_run(session)) == {"sent": 3}
    assert worker.journal.path.exists()

    sweep_in(sweep, minutes=4)

    assert not worker.journal.path.exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_an_unreadable_entry_beside_the_journals_is_logged_and_skipped(
    app: Flask,
    session: Session,
    new_worker: NewWorker,
    clients: list[str],
    sweep: Work,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[Path], None],
) -> None:
    worker = new_worker()
    worker.claim()
    worker.write_journal(worker.make_results(Verdict.SENT))
    worker.die()
    entry = app.config["DATA_DIR"] / "journal" / "0.jsonl"  # read before all others
    make(entry)
    try:
        sweep()
        with app.app_context():
            recovery.recover_lost_leases(app.config["DATA_DIR"] / "journal", utcnow() + timedelta(hours=1))
    finally:
        entry.rmdir() if entry.is_dir() else entry.unlink()

    assert count_states(session, get_only_run(session)) == {"sent": 3}
    assert "the journal 0.jsonl cannot be read" in caplog.text


@pytest.mark.parametrize(
    "line", ["[1]", "7", '{"begin": 1}', '{"end": 1, "number": 1, "verdict": "?", "code": 1, "answer": ""}']
)
def test_a_strange_line_in_a_journal_makes_letters_without_a_reply_unknown(
    session: Session, new_worker: NewWorker, clients: list[str], sweep: Work, line: str
) -> None:
    worker = new_worker()
    worker.claim()
    worker.write_journal(worker.make_results(Verdict.SENT)[:1])
    with worker.journal.path.open("a") as file:
        file.write("\n" + line)
    worker.die()

    sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 1, "unknown": 2}
