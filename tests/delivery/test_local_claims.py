"""Test the effects of runs at local time on older versions, other owners and ordinary runs."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import due, local_runs, plan
from skymailing.extensions import db
from skymailing.models import Run, RunState, User
from tests.delivery.ledger import get_only_run
from tests.delivery.worker import Worker
from tests.support.factories import ClientFactory, due_mailing
from tests.support.statements import record_statements


def test_an_older_version_can_neither_plan_nor_send_a_run_at_local_time(
    app: Flask, session: Session, user: User
) -> None:
    ClientFactory.create(owner=user, timezone="Asia/Tokyo")
    mailing = due_mailing(user, is_local_time=True)
    with app.app_context():
        plan.start_due_run(mailing.id, utcnow())
    run = get_only_run(session)
    assert run.state is RunState.LOCAL
    names = ("mailing_id", "subject", "format", "body", "sender_name", "reply_to", "started_at")
    values = {name: getattr(run, name) for name in names} | {"scheduled_for": utcnow() - timedelta(days=1)}
    with app.app_context():
        with pytest.raises(DBAPIError, match="local time"), db.engine.begin() as connection:
            connection.execute(insert(Run).values(values))
        for state in (RunState.PLANNED, RunState.SENDING, RunState.ROUTED, RunState.ATTACHED):
            sending = update(Run).where(Run.id == run.id).values(state=state)
            with pytest.raises(DBAPIError, match="own_times"), db.engine.begin() as connection:
                connection.execute(sending)


def test_zones_of_other_owners_are_not_listed(app: Flask, user: User) -> None:
    ClientFactory.create(timezone="Asia/Kathmandu")
    for zone in ("", "Asia/Tokyo", "America/New_York"):
        ClientFactory.create(owner=user, timezone=zone)
    ClientFactory.create(owner=user, timezone="Asia/Tokyo")
    with app.app_context(), db.engine.connect() as connection:
        assert local_runs.list_zones(connection, user.id) == ["America/New_York", "Asia/Tokyo"]


def test_claims_of_ordinary_runs_do_not_read_times(app: Flask, user: User, session: Session) -> None:
    """Only runs at local time need them."""
    ClientFactory.create(owner=user, timezone="America/New_York")
    worker = Worker.for_new_mailing(app, user)
    with record_statements() as statements:
        worker.claim()
        with app.app_context():
            assert due.find_runs(utcnow()) == []
    assert len(worker.claimed) == 1
    worker.die()
    claims = [text for text in statements if "FROM deliveries" in text and "suppressions" in text]
    assert claims
    assert not [text for text in claims if "not_before" in text or "clients.timezone" in text]
