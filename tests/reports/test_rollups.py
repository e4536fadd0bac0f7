"""Sums of days: whatever changes after a day was added up, a report tells it at once."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from skymailing.delivery.ledger import late_results, reconciliation
from skymailing.delivery.ledger.statistics import Changes, run_keys
from skymailing.extensions import db
from skymailing.models import DeliveryState, Outcome, ReportDay, Run, RunInterval, User
from skymailing.reports import daily_rollup
from skymailing.reports.aggregates import Scope
from skymailing.reports.periods import Period
from skymailing.reports.queries import Report, make_report
from tests.conftest import SignIn
from tests.support.factories import AttemptFactory, DeliveryFactory, MailingFactory, UserFactory, create_run

ZONE = ZoneInfo("Asia/Kathmandu")
BEGIN = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)  # its midnight is a quarter past six
NOW = BEGIN + timedelta(days=3)


@pytest.fixture
def user(session: Session) -> User:
    return UserFactory.create(timezone=ZONE.key)


@pytest.fixture
def run(user: User) -> Run:
    """Twenty letters, one each ten minutes, over midnight: sent, failed and unclear."""
    run = create_run(MailingFactory.create(owner=user, starts_at=BEGIN), {}, scheduled_for=BEGIN, planned=20)
    outcomes = [Outcome.SENT, Outcome.SENT, Outcome.FAILED, Outcome.UNKNOWN]
    for number in range(20):
        at, outcome = BEGIN + timedelta(minutes=10 * number), outcomes[number % 4]
        state, email = DeliveryState(outcome.value), f"c{number}@example.org"
        delivery = DeliveryFactory.create(run=run, state=state, finished_at=at, email=email, email_key=email)
        words = {"code": 550, "answer": "5.1.1 nobody"} if outcome is Outcome.FAILED else {}
        AttemptFactory.create(delivery=delivery, at=at, outcome=outcome, **words)
    return run


def add_up(app: Flask, now: datetime = NOW) -> int:
    with app.app_context():
        return daily_rollup.add_up(now)


def fresh(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(RunInterval).where(RunInterval.is_fresh)) or 0


def report(app: Flask, user: User, zone: ZoneInfo = ZONE) -> Report:
    """Return the report over a week."""
    with app.app_context():
        days = [(BEGIN + timedelta(days=days)).date() for days in (-3, 3)]
        found = make_report(Scope(user.id), Period(days[0], days[1], zone))
        db.session.rollback()
        return found


def counted_anew(app: Flask, session: Session, user: User, zone: ZoneInfo = ZONE) -> Report:
    """Return the same report with no sums there."""
    session.execute(text("UPDATE run_intervals SET is_fresh = true"))
    return report(app, user, zone)


def test_a_late_word_about_a_day_that_was_added_up_is_told_at_once(
    app: Flask, session: Session, user: User, run: Run
) -> None:
    assert add_up(app) == 2
    assert fresh(session) == 0
    assert report(app, user).totals.counts["unknown"] == 5

    with app.app_context(), db.engine.begin() as connection:
        (key,) = run_keys(connection, [run.id])
        assert late_results.mark_accepted(connection, key, ["c3@example.org"], NOW) == 1

    told = report(app, user)
    assert (told.totals.counts["unknown"], told.totals.counts["sent"]) == (4, 11)
    assert fresh(session) == 2, "the interval that it left, and the one that it came into"
    assert add_up(app, NOW + timedelta(hours=1)) == 2
    assert fresh(session) == 0
    assert report(app, user) == told == counted_anew(app, session, user)


def test_a_day_is_added_up_once_it_has_been_quiet_for_a_while(
    app: Flask, session: Session, user: User, run: Run
) -> None:
    last = BEGIN + timedelta(minutes=180)  # when the last interval begins
    assert add_up(app, last + timedelta(minutes=14)) == 1, "the day before is over"
    assert 0 < fresh(session) < 20
    assert add_up(app, last + timedelta(minutes=16)) == 1
    assert fresh(session) == 0


def test_what_is_being_written_while_a_day_is_added_up_is_not_lost(
    app: Flask, session: Session, user: User, run: Run
) -> None:
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite has one writer")
    for is_known in (False, True):  # an interval that is fresh, then one that was added up
        with app.app_context(), db.engine.begin() as connection:
            (key,) = run_keys(connection, [run.id])
            changes = Changes(key)
            changes.add("attempts", 1, BEGIN)  # an interval that is there
            changes.add("attempts", 1, BEGIN + timedelta(hours=1, minutes=9))  # and a new one
            changes.write(connection)
            assert add_up(app) == (0 if is_known else 2)
        assert report(app, user).totals.counts["attempts"] == 22 + 2 * is_known
        assert add_up(app) >= 1
        assert fresh(session) == 0
    assert report(app, user) == counted_anew(app, session, user)


def test_numbers_that_are_mended_are_told_at_once(app: Flask, session: Session, user: User, run: Run) -> None:
    right = report(app, user)
    session.execute(text("UPDATE run_intervals SET sent = sent + 1"))
    add_up(app)
    assert report(app, user).totals.counts["sent"] > 10

    with app.app_context(), db.engine.begin() as connection:
        (key,) = run_keys(connection, [run.id])
        reconciliation.recount(connection, key)

    assert report(app, user) == right
    add_up(app)
    assert report(app, user) == right


def test_whoever_changes_a_number_makes_the_sum_void_also_the_version_before(
    app: Flask, session: Session, user: User, run: Run
) -> None:
    add_up(app)
    session.execute(text("UPDATE run_intervals SET unknown = unknown - 1 WHERE unknown = 1"))
    told = report(app, user)
    assert told.totals.counts["unknown"] < 5
    assert told == counted_anew(app, session, user)


def test_days_are_those_of_the_clock_that_the_owner_chose(
    app: Flask, session: Session, user: User, run: Run, sign_in: SignIn
) -> None:
    add_up(app)
    moscow = ZoneInfo("Europe/Moscow")
    abroad = report(app, user, moscow)  # while the sums are those of Kathmandu
    assert [figures.counts["sent"] for day, figures in abroad.days if figures.counts["sent"]] == [10]
    page: FlaskClient = sign_in(user)
    form = {"name": user.name, "timezone": moscow.key, "locale": "", "summary_hour": ""}
    answer = page.post("/auth/profile", data=form)
    assert answer.status_code == 302

    assert session.scalar(select(func.count()).select_from(ReportDay)) == 0
    assert report(app, user, moscow) == abroad
    assert add_up(app) == 1
    assert fresh(session) == 0
    assert report(app, user, moscow) == abroad == counted_anew(app, session, user, moscow)


def test_a_days_sums_are_told_apart_by_owner(app: Flask, session: Session, user: User, run: Run) -> None:
    other = UserFactory.create(timezone="UTC")
    create_run(MailingFactory.create(owner=other), {DeliveryState.SENT: 3}, scheduled_for=BEGIN)
    mine, theirs = report(app, user), report(app, other)
    add_up(app, NOW + timedelta(days=365))
    assert (report(app, user), report(app, other)) == (mine, theirs)
    assert fresh(session) == 0
