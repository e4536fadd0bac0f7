"""Create runs that are in progress, and measure their progress."""

from datetime import datetime, timedelta
from typing import Any

from flask import Flask

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.mailings import queries
from skymailing.mailings.progress import Progress, measure_progress
from skymailing.mailings.progress_text import ProgressText, format_progress
from skymailing.models import DeliveryState, Mailing, MailingState, Outcome, Run, RunState, User
from tests.support.factories import AttemptFactory, DeliveryFactory, MailingFactory, create_run

NOW = utcnow().replace(hour=12, minute=0, second=0, microsecond=0)
PENDING, SENT, DEFERRED = DeliveryState.PENDING, DeliveryState.SENT, DeliveryState.DEFERRED


def create_running(owner: User, counts: dict[DeliveryState, int], **values: Any) -> Run:
    """Create a run that started ten minutes ago, for a mailing that ends in a day."""
    mailing = MailingFactory.create(
        owner=owner,
        **{
            "state": MailingState.RUNNING,
            "starts_at": NOW - timedelta(minutes=10),
            "ends_at": NOW + timedelta(days=1),
        }
        | values,
    )
    return create_run(mailing, counts, state=RunState.SENDING, started_at=NOW - timedelta(minutes=10))


def add_attempts(run: Run, ages: list[float], outcome: Outcome = Outcome.SENT) -> None:
    """Add an attempt for each age in seconds, oldest first, all for one delivery."""
    delivery = DeliveryFactory.create(run=run, state=SENT)
    run.planned += 1
    AttemptFactory.insert(
        [
            AttemptFactory.build(
                delivery=delivery, number=number, at=NOW - timedelta(seconds=age), outcome=outcome
            )
            for number, age in enumerate(sorted(ages, reverse=True), 1)
        ]
    )


def add_deferred(run: Run, due_at: datetime) -> None:
    DeliveryFactory.create(run=run, state=DEFERRED, due_at=due_at)
    run.planned += 1


def measure(app: Flask, run: Run) -> tuple[Progress, ProgressText]:
    with app.test_request_context():
        mailing = db.session.get_one(Mailing, run.mailing_id)
        ledger = queries.count_last_run(mailing)
        assert ledger
        progress = measure_progress(mailing, ledger, NOW)
        return progress, format_progress(progress)
