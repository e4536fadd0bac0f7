"""Fixtures for transactional letters."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.models import Run, RunState
from tests.api.conftest import Program, make_program, program, tester  # noqa: F401 - fixtures
from tests.delivery.conftest import serve_from  # noqa: F401 - a fixture
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.delivery.worker import Worker, read_journals
from tests.support.servers import SmtpServer

Send = Callable[..., Any]
CloseDay = Callable[[], Run]
LETTER = {"to": "anna@example.org", "subject": "Order {{ order.id }}", "body": "Total: {{ order.total }}"}
VALUES = {"order": {"id": 17, "total": "12,50 €"}}


@pytest.fixture
def send(program: Program) -> Send:  # noqa: F811
    """Return a function that sends a letter and returns the response."""

    def post(status: int = 201, **changes: Any) -> Any:
        return program.write("POST", "/letters", LETTER | {"values": VALUES} | changes, status)

    return post


def leave_unknown(app: Flask, session: Session) -> Run:
    """Kill a worker after it handed over the only letter; return the letter's run."""
    run = get_only_run(session)
    worker = Worker(app, run.id)
    worker.claim()
    for result in worker.make_results(Verdict.SENT):
        worker.journal.begin(result.letter)
    worker.die()
    read_journals(app)
    assert count_states(session, run) == {"unknown": 1}
    worker.journal.path.unlink(missing_ok=True)
    return run


@pytest.fixture
def close_day(app: Flask, session: Session, work: Callable[[], None], smtp: SmtpServer) -> CloseDay:
    """Return a function that sweeps on the next day, and returns the only run, whose ledger is closed."""

    def sweep() -> Run:
        with time_machine.travel(utcnow() + timedelta(days=1)):
            with app.app_context():
                jobs.sweep()
            work()
        session.expire_all()
        run = session.execute(select(Run)).scalar_one()
        assert run.state is RunState.FINISHED
        check_ledger(session, run, smtp.letters)
        return run

    return sweep
