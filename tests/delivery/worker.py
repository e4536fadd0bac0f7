"""Provide a worker that a test controls step by step, and the part of the sweep that reads its journal."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import time_machine
from flask import Flask

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.journal import WorkerJournal, read_dead_journals
from skymailing.delivery.ledger import claims, record
from skymailing.delivery.ledger.claims import Claimed
from skymailing.delivery.ledger.open_runs import OpenRun, load_run
from skymailing.delivery.recovery import sweep
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.models import OnUnknown, User
from tests.support.factories import due_mailing


class Worker:
    """A worker that a test can stall or kill between any two steps."""

    def __init__(self, app: Flask, run_id: int) -> None:
        self.app = app
        with app.app_context():
            self.journal = WorkerJournal(app.config["DATA_DIR"] / "journal")
            with db.engine.connect() as connection:
                self.run: OpenRun = load_run(connection, run_id)
        self.token = str(uuid4())
        self.claimed: list[Claimed] = []
        self.is_dead = False

    @classmethod
    def for_new_mailing(cls, app: Flask, owner: User, **values: Any) -> "Worker":
        """Start a mailing to all clients, plan its run, and return a worker for the run."""
        mailing = due_mailing(owner, **{"on_unknown": OnUnknown.HOLD} | values)
        with app.app_context():
            run_id = plan.start_due_run(mailing.id, utcnow())
        assert run_id
        return cls(app, run_id)

    def claim(self, lease: timedelta = timedelta(minutes=3)) -> None:
        self.journal.claim(self.token)
        with self.app.app_context(), db.engine.begin() as connection:
            self.claimed = claims.claim(connection, self.run, self.token, utcnow() + lease, 10, utcnow())

    def make_results(self, verdict: Verdict, code: int | None = 250, answer: str = "text") -> list[Result]:
        return [
            Result(Letter(claimed.id, claimed.attempts + 1, claimed.email, b""), verdict, code, answer)
            for claimed in self.claimed
        ]

    def die(self) -> None:
        if not self.is_dead:
            self.journal.abandon()
        self.is_dead = True

    def write_journal(self, results: list[Result]) -> None:
        for result in results:
            self.journal.begin(result.letter)
            self.journal.end(result)

    def record(self, results: list[Result]) -> None:
        with self.app.app_context(), db.engine.begin() as connection:
            record.record_results(connection, self.run, self.token, results, {}, "primary", utcnow())


NewWorker = Callable[..., Worker]


def read_journals(app: Flask) -> None:
    """Run only the part of the sweep that reads journals."""
    with app.app_context():
        for journal in read_dead_journals(app.config["DATA_DIR"] / "journal"):
            sweep.recover_journal(journal, utcnow())
            if sweep._is_obsolete(journal, utcnow()):
                journal.remove()


def sweep_in(sweep: Callable[[], None], **duration: float) -> None:
    """Run the sweep as if this much time had passed."""
    with time_machine.travel(utcnow() + timedelta(**duration)):
        sweep()
