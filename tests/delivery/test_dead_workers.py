"""Test that a dead worker's journal can be read during its last transaction or long afterwards."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.ledger import claims, record
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from tests.delivery.conftest import Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.worker import NewWorker, read_journals, sweep_in
from tests.support.servers import SmtpServer


def test_a_claim_committed_after_the_worker_died_is_not_lost(
    app: Flask, session: Session, new_worker: NewWorker, clients: list[str], sweep: Work, smtp: SmtpServer
) -> None:
    """The worker is killed before COMMIT returns; the journal is read before the claim is visible."""
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite commits in the worker's own process, which has ended")
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


def test_results_rolled_back_after_the_worker_died_are_recorded_from_the_journal(
    app: Flask, session: Session, new_worker: NewWorker, clients: list[str], sweep: Work
) -> None:
    """The worker is killed before COMMIT; the journal is read while its rows are locked and skipped."""
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite rolls back when the worker's own process ends")
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
