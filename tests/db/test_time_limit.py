"""Test that statements of a page are stopped when they take too long, and that its transaction continues."""

import time

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.extensions import db

ENDLESS = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000000) "
    "SELECT count(*) FROM n"
)


def execute_slowly() -> None:
    for _ in range(3):
        db.session.execute(text("SELECT 1"))
        time.sleep(0.03)


def test_a_slow_statement_is_stopped_and_the_transaction_continues(app: Flask, session: Session) -> None:
    with app.app_context():
        db.session.execute(text("CREATE TEMPORARY TABLE kept (id INTEGER)"))
        start = time.monotonic()
        with pytest.raises(TookTooLong), limit_time(0.2):
            db.session.execute(ENDLESS).scalar()
        assert time.monotonic() - start < 5
        with pytest.raises(TookTooLong), limit_time(0.05):
            execute_slowly()  # the statements share the time
        assert db.session.execute(text("SELECT count(*) FROM kept")).scalar() == 0
        with limit_time(5):
            assert db.session.execute(text("SELECT 2")).scalar() == 2
        if db.engine.dialect.name == "postgresql":
            assert db.session.execute(text("SHOW statement_timeout")).scalar() == "0"
        db.session.rollback()


def test_other_errors_are_not_mistaken_for_a_slow_statement(app: Flask, session: Session) -> None:
    with app.app_context():
        with pytest.raises(Exception, match="no_such_table"), limit_time(5):
            db.session.execute(text("SELECT * FROM no_such_table"))
        db.session.rollback()
