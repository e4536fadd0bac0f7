"""Test that runs and retries wait for the sending hours and late starts follow the mailing's setting."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import schedule
from skymailing.audit import current_actor
from skymailing.extensions import db
from skymailing.mailings import services
from skymailing.mailings.state_text import explain_state
from skymailing.models import Mailing, MailingState, OnLate, Periodicity, Run, RunState, User
from tests.delivery.conftest import Work
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.support.factories import ClientFactory, MailingFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer

# Python decides when sending may begin; other tests claim and record letters on both databases.
pytestmark = pytest.mark.one_engine

# A Friday and the following Monday, in UTC; Moscow is three hours ahead.
FRIDAY, MONDAY = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
OFFICE_HOURS = {"weekdays": "12345", "opens_at": time(9), "closes_at": time(18)}


@pytest.fixture
def sweep_at(sweep: Work) -> Callable[[datetime], None]:
    """Return a function that runs a sweep and its jobs at a given time."""

    def run(at: datetime) -> None:
        with time_machine.travel(at):
            sweep()

    return run


@pytest.fixture
def create_mailing(user: User) -> Callable[..., Mailing]:
    """Return a function that creates a ten-day mailing whose owner is in Moscow."""

    def make(start: datetime, **values: Any) -> Mailing:
        user.timezone = "Europe/Moscow"
        period = {"starts_at": start, "next_run_at": start, "ends_at": start + timedelta(days=10)}
        return due_mailing(user, **period | values)

    return make


@pytest.mark.both_engines
def test_a_run_pauses_over_the_weekend_and_resumes_automatically(
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    create_clients(user, 3)
    create_mailing(FRIDAY + timedelta(hours=15), **OFFICE_HOURS)  # 18:00 in Moscow
    for at in (FRIDAY + timedelta(hours=15), FRIDAY + timedelta(days=1), MONDAY + timedelta(hours=5.9)):
        sweep_at(at)
        assert not smtp.letters
    assert count_states(session, get_only_run(session)) == {"pending": 3}
    sweep_at(MONDAY + timedelta(hours=6))
    assert count_states(session, get_only_run(session)) == {"sent": 3}
    check_ledger(session, get_only_run(session), smtp.letters)


@pytest.mark.parametrize(("hour", "letters"), [(0, 5), (6, 5), (9, 6)], ids=["night", "opening", "noon"])
def test_occurrences_before_the_same_opening_send_one_letter(
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
    hour: int,
    letters: int,
) -> None:
    """A daily mailing sends one letter on Monday at nine, and another at noon if that is its start time."""
    client = ClientFactory.create(owner=user)
    first = FRIDAY + timedelta(hours=hour)
    create_mailing(first, **OFFICE_HOURS, periodicity=Periodicity.DAILY)
    for day in range(7):
        for sweep_hour in (0, 6, 9, 12):
            sweep_at(FRIDAY + timedelta(days=day, hours=sweep_hour, seconds=1))
    assert smtp.per_address() == {client.email: letters}
    assert {run.state for run in session.scalars(select(Run))} == {RunState.FINISHED}


def test_retries_wait_for_the_sending_hours(
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    client = ClientFactory.create(owner=user)
    smtp.rcpt_replies[client.email] = "451 4.7.1 later"
    create_mailing(FRIDAY + timedelta(hours=14, minutes=59), **OFFICE_HOURS)
    sweep_at(FRIDAY + timedelta(hours=14, minutes=59))
    smtp.rcpt_replies.clear()
    sweep_at(FRIDAY + timedelta(hours=20))
    assert count_states(session, get_only_run(session)) == {"deferred": 1}
    sweep_at(MONDAY + timedelta(hours=6))
    assert count_states(session, get_only_run(session)) == {"sent": 1}


def test_a_mailing_that_sends_only_on_mondays_retries_for_weeks(
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    """Three days have passed since the run started, but only minutes of sending hours."""
    client = ClientFactory.create(owner=user)
    smtp.rcpt_replies[client.email] = "451 4.7.1 greylisted"
    hours = {"weekdays": "1", "opens_at": time(9), "closes_at": time(18)}
    create_mailing(MONDAY + timedelta(hours=14, minutes=59), **hours, ends_at=MONDAY + timedelta(days=30))
    sweep_at(MONDAY + timedelta(hours=14, minutes=59))
    for weeks in (1, 2):
        sweep_at(MONDAY + timedelta(weeks=weeks, hours=14, minutes=58))
        assert count_states(session, get_only_run(session)) == {"deferred": 1}, f"in week {weeks}"
    smtp.rcpt_replies.clear()
    sweep_at(MONDAY + timedelta(weeks=3, hours=6))
    assert count_states(session, get_only_run(session)) == {"sent": 1}
    check_ledger(session, get_only_run(session), smtp.letters)


def test_a_letter_fails_three_days_after_its_first_attempt(
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    client = ClientFactory.create(owner=user)
    smtp.rcpt_replies[client.email] = "451 4.7.1 try again in 20 hours"
    create_mailing(MONDAY)
    for hours in (0, 21, 42):
        sweep_at(MONDAY + timedelta(hours=hours))
        assert count_states(session, get_only_run(session)) == {"deferred": 1}, f"after {hours} hours"
    sweep_at(MONDAY + timedelta(hours=63))
    assert count_states(session, get_only_run(session)) == {"failed": 1}


def test_sending_hours_can_run_past_midnight(
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    """On Fridays from 22:00 to 02:00 in Moscow, the first hours of Saturday belong to Friday."""
    accepted_late, refused = create_clients(user, 2)
    smtp.rcpt_replies = dict.fromkeys((accepted_late.email, refused.email), "451 4.7.1 later")
    create_mailing(FRIDAY + timedelta(hours=19), weekdays="5", opens_at=time(22), closes_at=time(2))
    sweep_at(FRIDAY + timedelta(hours=19))
    del smtp.rcpt_replies[accepted_late.email]
    sweep_at(FRIDAY + timedelta(hours=22, minutes=59))
    assert count_states(session, get_only_run(session)) == {"sent": 1, "deferred": 1}
    smtp.rcpt_replies.clear()
    for hours in (23, 24 + 20):
        sweep_at(FRIDAY + timedelta(hours=hours))
        assert count_states(session, get_only_run(session)) == {"sent": 1, "deferred": 1}, (
            f"after {hours} hours"
        )
    sweep_at(FRIDAY + timedelta(days=7, hours=19))
    assert count_states(session, get_only_run(session)) == {"sent": 2}


def test_hours_changed_during_a_run_apply_immediately(
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    ClientFactory.create(owner=user)
    mailing = create_mailing(FRIDAY, **OFFICE_HOURS)
    sweep_at(FRIDAY)
    assert not smtp.letters
    mailing.opens_at = mailing.closes_at = None
    session.flush()
    sweep_at(FRIDAY + timedelta(seconds=30))
    assert len(smtp.letters) == 1


def test_the_scheduler_resumes_a_waiting_run_when_its_hours_begin(
    app: Flask,
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    work: Work,
    smtp: SmtpServer,
) -> None:
    ClientFactory.create(owner=user)
    create_mailing(MONDAY + timedelta(hours=5), **OFFICE_HOURS)
    sweep_at(MONDAY + timedelta(hours=5))
    sweep_at(MONDAY + timedelta(hours=5, seconds=20))
    run = get_only_run(session)
    with time_machine.travel(MONDAY + timedelta(hours=6, seconds=1)), app.app_context():
        scheduler = schedule.make_scheduler()
        scheduler.cancel(schedule.SWEEP_ID)
        names = {job.id for job in scheduler.get_jobs_to_queue()}
        assert f"run-{run.id}" in names
        for job in scheduler.get_jobs_to_queue():
            scheduler.enqueue_job(job)
        work()
    assert len(smtp.letters) == 1


@pytest.mark.both_engines
@pytest.mark.parametrize("periodicity", [Periodicity.ONCE, Periodicity.DAILY])
def test_a_late_start_is_skipped_if_the_mailing_is_set_to_skip_it(
    app: Flask,
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
    periodicity: Periodicity,
) -> None:
    ClientFactory.create(owner=user)
    mailing = create_mailing(MONDAY, on_late=OnLate.SKIP, periodicity=periodicity)
    for _attempt in range(2):
        sweep_at(MONDAY + timedelta(days=2, hours=3))
    session.refresh(mailing)
    run = get_only_run(session)
    missed = MONDAY if periodicity is Periodicity.ONCE else MONDAY + timedelta(days=2)
    assert (run.state, run.planned, run.scheduled_for) == (RunState.SKIPPED, 0, missed)
    assert not smtp.letters
    with app.test_request_context():
        assert "missed" in explain_state(mailing)
    if periodicity is Periodicity.ONCE:
        assert mailing.state is MailingState.FINISHED
        return
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, MONDAY + timedelta(days=3))
    sweep_at(MONDAY + timedelta(days=3, minutes=9))
    assert len(smtp.letters) == 1, "the next start is on time"
    session.refresh(mailing)
    assert mailing.state_reason == ""


def test_a_late_start_is_made_up_by_default(
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    ClientFactory.create(owner=user)
    create_mailing(MONDAY)
    sweep_at(MONDAY + timedelta(days=2))
    assert get_only_run(session).scheduled_for == MONDAY
    assert len(smtp.letters) == 1


def test_activating_a_mailing_after_its_start_is_not_a_late_start(
    app: Flask, session: Session, user: User, sweep_at: Callable[[datetime], None], smtp: SmtpServer
) -> None:
    ClientFactory.create(owner=user)
    mailing = MailingFactory.create(
        owner=user, starts_at=MONDAY, ends_at=MONDAY + timedelta(days=10), on_late=OnLate.SKIP
    )
    now = MONDAY + timedelta(days=1)
    with time_machine.travel(now), app.test_request_context():
        services.activate_mailing(db.session.get_one(Mailing, mailing.id), now)
        db.session.commit()
    sweep_at(now)
    assert get_only_run(session).scheduled_for == MONDAY
    assert len(smtp.letters) == 1


@pytest.mark.both_engines
def test_a_start_missed_during_a_pause_follows_the_mailings_setting(
    app: Flask,
    session: Session,
    user: User,
    sweep_at: Callable[[datetime], None],
    create_mailing: Callable[..., Mailing],
    smtp: SmtpServer,
) -> None:
    ClientFactory.create(owner=user)
    mailing = create_mailing(MONDAY, on_late=OnLate.SKIP, state=MailingState.PAUSED)
    sweep_at(MONDAY + timedelta(hours=1))
    assert not session.scalars(select(Run)).all()
    now = MONDAY + timedelta(hours=2)
    with time_machine.travel(now), app.test_request_context():
        services.resume_mailing(db.session.get_one(Mailing, mailing.id), now, current_actor())
        db.session.commit()
    sweep_at(now)
    assert get_only_run(session).state is RunState.SKIPPED
