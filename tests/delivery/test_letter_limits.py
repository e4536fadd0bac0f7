"""Test the letter limits per user: letters beyond a limit wait, and none is lost."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from skymailing.audit import Actor
from skymailing.auth import trust
from skymailing.clock import utcnow
from skymailing.delivery import due
from skymailing.extensions import db
from skymailing.mailings.progress import measure_progress
from skymailing.mailings.progress_text import format_progress
from skymailing.mailings.queries import count_runs
from skymailing.models import Run, RunState, UsageHour, UsageKind, User
from skymailing.monitoring.queries import find_oldest_due
from skymailing.outbox import services as outbox
from skymailing.outbox.tasks import send_due_letters
from skymailing.quotas import counting, letters
from tests.conftest import SetLimits
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.support.factories import UserFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer

DAY = timedelta(days=1)


@pytest.fixture
def newcomer(session: Session) -> User:
    return UserFactory.create(trusted_at=None)


def read_progress(app: Flask, run: Run) -> tuple[str, str]:
    """Return the text of the run's page about the limit and about letters that will not be sent."""
    with app.test_request_context():
        (ledger,) = count_runs([run])
        shown = format_progress(measure_progress(run.mailing, ledger, utcnow()))
        return shown.limit, shown.forecast


def test_letters_beyond_the_limit_of_a_day_wait_for_the_next_day(
    app: Flask,
    session: Session,
    user: User,
    start: Start,
    sweep: Work,
    smtp: SmtpServer,
    set_limits: SetLimits,
) -> None:
    set_limits(letters_per_day=25)
    create_clients(user, 60)
    noon = utcnow().replace(hour=12, minute=0, second=0, microsecond=0) + DAY
    with time_machine.travel(noon):
        start(due_mailing(user, ends_at=noon + 5 * DAY))
        sweep()
        run = get_only_run(session)
        assert count_states(session, run) == {"sent": 25, "pending": 35}
        assert run.state is RunState.SENDING
        limit, forecast = read_progress(app, run)
        assert limit.startswith("You have reached the limit of 25 emails per day. The rest will be sent from")
        assert limit.endswith("12:00.")
        assert forecast == ""
        with app.app_context():
            assert find_oldest_due(utcnow()) is None, "no alarm, because the letters are supposed to wait"
    with time_machine.travel(noon + timedelta(hours=23, minutes=59)):
        sweep()
        assert len(smtp.letters) == 25
    with time_machine.travel(noon + DAY):
        sweep()
        assert len(smtp.letters) == 50
    with time_machine.travel(noon + 2 * DAY):
        sweep()

    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 60}
    assert run.state is RunState.FINISHED
    check_ledger(session, run, smtp.letters)


def test_all_mailings_of_a_user_share_the_limit_and_other_users_have_their_own(
    session: Session, user: User, start: Start, smtp: SmtpServer, set_limits: SetLimits
) -> None:
    set_limits(letters_per_hour=10)
    create_clients(user, 8)
    other = UserFactory.create()
    create_clients(other, 8)
    for owner in (user, user, other):
        start(due_mailing(owner))

    assert len(smtp.letters) == 18


@pytest.mark.one_engine
def test_a_new_account_sends_few_letters_until_a_manager_trusts_it(
    app: Flask,
    session: Session,
    newcomer: User,
    start: Start,
    sweep: Work,
    smtp: SmtpServer,
    set_limits: SetLimits,
) -> None:
    set_limits(new_account_letters_per_day=5)
    create_clients(newcomer, 12)
    start(due_mailing(newcomer, ends_at=utcnow() + 9 * DAY))
    run = get_only_run(session)
    assert count_states(session, run) == {"sent": 5, "pending": 7}
    assert "New accounts can send up to 5 emails per day." in read_progress(app, run)[0]
    # Letters about the account itself are not limited.
    with app.app_context():
        for _ in range(6):
            outbox.add_letter(db.session.get_one(User, newcomer.id), "password-changed")
        db.session.commit()
        assert send_due_letters(utcnow()) == 6
        trust.trust_user(db.session.get_one(User, newcomer.id), "Known", utcnow(), Actor(None, "test"))
        db.session.commit()
    sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 12}


@pytest.mark.one_engine
def test_a_new_account_becomes_an_ordinary_one_over_time(
    app: Flask, session: Session, newcomer: User, start: Start, sweep: Work, set_limits: SetLimits
) -> None:
    set_limits(new_account_letters_per_day=5, new_account_days=1)
    newcomer.confirmed_at = utcnow() - timedelta(hours=23)
    session.flush()
    create_clients(newcomer, 12)
    start(due_mailing(newcomer, ends_at=utcnow() + timedelta(minutes=30)))
    assert read_progress(app, get_only_run(session))[1].startswith("Not enough time: about 7 emails")
    session.execute(text("UPDATE mailings SET ends_at = :end"), {"end": utcnow() + 9 * DAY})
    with time_machine.travel(utcnow() + timedelta(hours=1, minutes=1)):
        sweep()

    assert count_states(session, get_only_run(session)) == {"sent": 12}


@pytest.mark.one_engine
def test_a_letter_that_waits_for_its_retry_is_not_counted(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer, set_limits: SetLimits
) -> None:
    set_limits(letters_per_hour=3)
    clients = create_clients(user, 5)
    for client in clients[:3]:
        smtp.rcpt_replies[client.email] = "451 4.7.1 greylisted"
    start(due_mailing(user, ends_at=utcnow() + DAY))
    sweep()

    assert count_states(session, get_only_run(session)) == {"deferred": 3, "sent": 2}
    claimed = select(UsageHour.count).where(UsageHour.kind == UsageKind.LETTERS)
    assert session.scalars(claimed).all() == [2]


def test_workers_together_do_not_exceed_the_limit(
    app: Flask, session: Session, user: User, set_limits: SetLimits
) -> None:
    set_limits(letters_per_day=100)
    now = utcnow()

    def reserve(_: int) -> int:
        with app.app_context(), db.engine.connect() as connection, connection.begin():
            return letters.reserve(connection, user.id, 30, False, now)

    with ThreadPoolExecutor(6) as pool:
        given = sorted(pool.map(reserve, range(6)))

    assert given == [0, 0, 10, 30, 30, 30]
    with app.app_context():
        user = db.session.get_one(User, user.id)
        reached = letters.find_reached(user, now)
        assert reached is not None
        assert letters.find_reached(user, reached.frees_at) is None


def test_runs_of_an_owner_at_a_limit_count_towards_the_limit_of_runs(
    app: Flask, session: Session, user: User, start: Start, set_limits: SetLimits
) -> None:
    """Otherwise an owner who has reached a limit could plan any number of letters."""
    set_limits(letters_per_day=1)
    create_clients(user, 3)
    start(due_mailing(user))
    assert count_states(session, get_only_run(session)) == {"sent": 1, "pending": 2}
    due_mailing(user)
    with app.app_context():
        assert due.find_runs(utcnow()) == []
        engine = replace(app.config["ENGINE"], most_runs_per_owner=1)
        app.config["ENGINE"], before = engine, app.config["ENGINE"]
        try:
            assert due.find_mailings(utcnow()) == []
            assert not due.has_room(user.id, utcnow())
        finally:
            app.config["ENGINE"] = before


def test_letters_released_in_the_next_hour_are_subtracted_from_their_own_hour(
    app: Flask, session: Session, user: User
) -> None:
    late = utcnow().replace(minute=59, second=59, microsecond=0)
    with app.app_context(), db.engine.begin() as connection:
        counting.add(connection, user.id, UsageKind.LETTERS, 480, late)
        counting.add(connection, user.id, UsageKind.LETTERS, 7, late + timedelta(seconds=1))
        letters.release(connection, user.id, 470, late + timedelta(seconds=2))
    assert sum(session.scalars(select(UsageHour.count))) == 17
    assert min(session.scalars(select(UsageHour.count))) == 0
