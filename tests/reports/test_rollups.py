"""Test that reports are exact even if counts change after a day has been rolled up."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from skymailing.delivery.ledger import late_results, reconciliation
from skymailing.delivery.ledger.run_counts import Changes, run_keys
from skymailing.extensions import db
from skymailing.models import DeliveryState, Outcome, ReportDay, Run, RunInterval, User
from skymailing.reports import daily_rollup
from skymailing.reports.aggregates import Scope
from skymailing.reports.periods import Period
from skymailing.reports.queries import Report, make_report
from tests.conftest import SignIn
from tests.support.factories import AttemptFactory, DeliveryFactory, MailingFactory, UserFactory, create_run

ZONE = ZoneInfo("Asia/Kathmandu")
START = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)  # midnight in Kathmandu is 18:15 in UTC
NOW = START + timedelta(days=3)


@pytest.fixture
def user(session: Session) -> User:
    user: User = UserFactory.create(timezone=ZONE.key)
    return user


@pytest.fixture
def run(user: User) -> Run:
    """Create a run of twenty letters at ten-minute intervals across midnight: sent, failed and unknown."""
    run = create_run(MailingFactory.create(owner=user, starts_at=START), {}, scheduled_for=START, planned=20)
    outcomes = [Outcome.SENT, Outcome.SENT, Outcome.FAILED, Outcome.UNKNOWN]
    for number in range(20):
        at, outcome = START + timedelta(minutes=10 * number), outcomes[number % 4]
        state, email = DeliveryState(outcome.value), f"c{number}@example.org"
        delivery = DeliveryFactory.create(run=run, state=state, finished_at=at, email=email, email_key=email)
        reply = {"code": 550, "answer": "5.1.1 no such user"} if outcome is Outcome.FAILED else {}
        AttemptFactory.create(delivery=delivery, at=at, outcome=outcome, **reply)
    return run


def roll_up(app: Flask, now: datetime = NOW) -> int:
    with app.app_context():
        return daily_rollup.roll_up_days(now, seconds=60)  # also on a busy machine


def count_fresh(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(RunInterval).where(RunInterval.is_fresh)) or 0


def create_report(app: Flask, user: User, zone: ZoneInfo = ZONE) -> Report:
    """Return the report for one week."""
    with app.app_context():
        days = [(START + timedelta(days=days)).date() for days in (-3, 3)]
        report = make_report(Scope(user.id), Period(days[0], days[1], zone))
        db.session.rollback()
        return report


def create_report_without_rollups(app: Flask, session: Session, user: User, zone: ZoneInfo = ZONE) -> Report:
    """Return the same report, computed only from intervals."""
    session.execute(text("UPDATE run_intervals SET is_fresh = true"))
    return create_report(app, user, zone)


def test_a_late_result_for_a_rolled_up_day_is_reported_immediately(
    app: Flask, session: Session, user: User, run: Run
) -> None:
    assert roll_up(app) == 2
    assert count_fresh(session) == 0
    assert create_report(app, user).totals.counts["unknown"] == 5

    with app.app_context(), db.engine.begin() as connection:
        (key,) = run_keys(connection, [run.id])
        assert late_results.mark_accepted(connection, key, ["c3@example.org"], NOW) == 1

    report = create_report(app, user)
    assert (report.totals.counts["unknown"], report.totals.counts["sent"]) == (4, 11)
    assert count_fresh(session) == 2, "the interval that lost the letter, and the one that gained it"
    assert roll_up(app, NOW + timedelta(hours=1)) == 2
    assert count_fresh(session) == 0
    assert create_report(app, user) == report == create_report_without_rollups(app, session, user)


def test_a_day_is_rolled_up_after_a_quiet_period(app: Flask, session: Session, user: User, run: Run) -> None:
    last_interval = START + timedelta(minutes=180)  # the start of the last interval
    assert roll_up(app, last_interval + timedelta(minutes=14)) == 1, "the previous day is over"
    assert 0 < count_fresh(session) < 20
    assert roll_up(app, last_interval + timedelta(minutes=16)) == 1
    assert count_fresh(session) == 0


@pytest.mark.only_on("postgresql", reason="SQLite has one writer, so no count is written during a rollup")
def test_counts_written_during_a_rollup_are_not_lost(
    app: Flask, session: Session, user: User, run: Run
) -> None:
    for is_rolled_up in (False, True):  # first with a fresh interval, then with one that has been rolled up
        with app.app_context(), db.engine.begin() as connection:
            (key,) = run_keys(connection, [run.id])
            changes = Changes(key)
            changes.add("attempts", 1, START)  # an existing interval
            changes.add("attempts", 1, START + timedelta(hours=1, minutes=9))  # a new interval
            changes.write(connection)
            assert roll_up(app) == (0 if is_rolled_up else 2)
        assert create_report(app, user).totals.counts["attempts"] == 22 + 2 * is_rolled_up
        assert roll_up(app) >= 1
        assert count_fresh(session) == 0
    assert create_report(app, user) == create_report_without_rollups(app, session, user)


def test_repaired_counts_are_reported_immediately(app: Flask, session: Session, user: User, run: Run) -> None:
    expected = create_report(app, user)
    session.execute(text("UPDATE run_intervals SET sent = sent + 1"))
    roll_up(app)
    assert create_report(app, user).totals.counts["sent"] > 10

    with app.app_context(), db.engine.begin() as connection:
        (key,) = run_keys(connection, [run.id])
        reconciliation.recount(connection, key)

    assert create_report(app, user) == expected
    roll_up(app)
    assert create_report(app, user) == expected


def test_any_change_to_a_count_invalidates_the_rollup(
    app: Flask, session: Session, user: User, run: Run
) -> None:
    roll_up(app)
    # Plain SQL stands in for a worker from an earlier version, which does not know about rollups.
    session.execute(text("UPDATE run_intervals SET unknown = unknown - 1 WHERE unknown = 1"))
    report = create_report(app, user)
    assert report.totals.counts["unknown"] < 5
    assert report == create_report_without_rollups(app, session, user)


def test_days_follow_a_change_to_the_owners_time_zone(
    app: Flask, session: Session, user: User, run: Run, sign_in: SignIn
) -> None:
    roll_up(app)
    moscow = ZoneInfo("Europe/Moscow")
    moscow_report = create_report(app, user, moscow)  # the rollups are still for Kathmandu
    assert [figures.counts["sent"] for day, figures in moscow_report.days if figures.counts["sent"]] == [10]
    browser: FlaskClient = sign_in(user)
    form = {"name": user.name, "timezone": moscow.key, "locale": "", "summary_hour": ""}
    response = browser.post("/auth/profile", data=form)
    assert response.status_code == 302

    assert session.scalar(select(func.count()).select_from(ReportDay)) == 0
    assert create_report(app, user, moscow) == moscow_report
    assert roll_up(app) == 1
    assert count_fresh(session) == 0
    assert (
        create_report(app, user, moscow)
        == moscow_report
        == create_report_without_rollups(app, session, user, moscow)
    )


def test_rollups_of_different_owners_are_separate(app: Flask, session: Session, user: User, run: Run) -> None:
    other = UserFactory.create(timezone="UTC")
    create_run(MailingFactory.create(owner=other), {DeliveryState.SENT: 3}, scheduled_for=START)
    own, others = create_report(app, user), create_report(app, other)
    roll_up(app, NOW + timedelta(days=365))
    assert (create_report(app, user), create_report(app, other)) == (own, others)
    assert count_fresh(session) == 0
