"""Test a year of daily, weekly and monthly mailings with the real scheduler and real jobs."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import schedule
from skymailing.models import MailingState, Periodicity, Run, RunState, User
from tests.delivery.conftest import Work
from tests.support.factories import ClientFactory, due_mailing
from tests.support.servers import SmtpServer

BERLIN = ZoneInfo("Europe/Berlin")
FIRST, LAST = date(2028, 1, 31), date(2029, 1, 30)  # includes 29 February and both clock changes


def at_nine(day: date) -> datetime:
    return datetime.combine(day, time(9), BERLIN).astimezone(UTC)


def list_days() -> list[date]:
    return [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]


def is_last_of_month(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def run_jobs_at(moment: datetime, app: Flask, work: Work) -> None:
    with time_machine.travel(moment), app.app_context():
        schedule.make_scheduler().enqueue_jobs()
        work()


def test_every_occurrence_within_a_year_has_exactly_one_run(
    app: Flask, session: Session, user: User, work: Work, smtp: SmtpServer
) -> None:
    user.timezone = "Europe/Berlin"
    ClientFactory.create(owner=user)
    start, end = at_nine(FIRST), at_nine(LAST) + timedelta(hours=1)
    mailings = {
        periodicity: due_mailing(
            user, periodicity=periodicity, starts_at=start, next_run_at=start, ends_at=end, name=periodicity
        )
        for periodicity in (Periodicity.DAILY, Periodicity.WEEKLY, Periodicity.MONTHLY)
    }
    days = list_days()
    for day in days:
        # On days with several starts, also run jobs shortly before nine, when nothing may be sent.
        early = [at_nine(day) - timedelta(minutes=1)] if is_last_of_month(day) else []
        for moment in (*early, at_nine(day) + timedelta(seconds=1)):
            run_jobs_at(moment, app, work)
    run_jobs_at(end + timedelta(seconds=20), app, work)

    expected = {
        Periodicity.DAILY: days,
        Periodicity.WEEKLY: days[::7],
        Periodicity.MONTHLY: [day for day in days if is_last_of_month(day)],
    }
    assert date(2028, 2, 29) in expected[Periodicity.MONTHLY]
    session.expire_all()
    for periodicity, mailing in mailings.items():
        scheduled_times = session.scalars(
            select(Run.scheduled_for).where(Run.mailing_id == mailing.id).order_by(Run.scheduled_for)
        ).all()
        assert scheduled_times == [at_nine(day) for day in expected[periodicity]], periodicity
        assert mailing.state is MailingState.FINISHED
    runs = session.scalars(select(Run)).all()
    assert Counter(run.state for run in runs) == {RunState.FINISHED: len(runs)}
    # The clock runs on during the jobs, so on a busy machine a start takes its time.
    assert all(run.started_at - run.scheduled_for < timedelta(minutes=1) for run in runs)
    assert len(smtp.letters) == len(runs)
