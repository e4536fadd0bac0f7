"""Test that due letters are found without reading those that have to wait."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import LetterState, OutboxLetter, User
from skymailing.outbox.claims import has_due
from tests.outbox.conftest import add_letter
from tests.support.statements import record_statements


@pytest.mark.both_engines
def test_waiting_and_lost_letters_are_due(app: Flask, session: Session, user: User) -> None:
    add_letter(app, session, user, "password-changed")
    now = utcnow()
    with app.app_context():
        assert has_due(now, None)
        assert not has_due(now - timedelta(hours=1), None)
        assert not has_due(now, 1), "it is sent through another server"
        db.session.rollback()
    values = {"state": LetterState.SENDING, "lease_until": now + timedelta(minutes=1)}
    session.execute(update(OutboxLetter).values(values))
    with app.app_context():
        assert not has_due(now, None)
        assert has_due(now + timedelta(minutes=2), None), "its worker has died"
        db.session.rollback()


@pytest.mark.both_engines
def test_letters_that_have_to_wait_are_not_read(app: Flask, session: Session) -> None:
    with app.app_context(), record_statements() as statements:
        has_due(utcnow(), None)
        connection = db.session.connection()
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        (statement,) = (found for found in statements if "min(outbox.due_at)" in found)
        for part in ("%(due_at_1)s", "%(param_1)s", "%(due_at_2)s", "%(lease_until_1)s"):
            statement = statement.replace(part, "'2026-11-29'")
        for part, value in (("%(state_1)s", "'pending'"), ("%(state_2)s", "'sending'"), ("?", "'sending'")):
            statement = statement.replace(part, value)
        prefix = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        plan = "\n".join(map(str, connection.exec_driver_sql(f"{prefix} {statement}")))
        db.session.rollback()
    assert plan.count("ix_outbox_due") == 2, plan
