"""Test a year of daily, weekly and monthly mailings with the real scheduler and real jobs."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import schedule
from skymailing.models import Mailing, MailingState, Periodicity, Run, RunState, User
from tests.delivery.conftest import Work
from tests.support.factories import ClientFactory, due_mailing
from tests.support.servers import SmtpServer

# The calendar and the real scheduler in Redis decide; other tests start runs on both databases.
pytestmark = pytest.mark.one_engine

BERLIN = ZoneInfo("Europe/Berlin")
FIRST, LAST = date(2028, 1, 31), date(2029, 1, 30)  # includes 29 February and both clock changes
# A daily mailing takes most of the time, so it runs only around these days: 29 February, the clock changes.
DAILY = [
    (date(2028, 2, 27), date(2028, 3, 2)),
    (date(2028, 3, 24), date(2028, 3, 28)),
    (date(2028, 10, 27), date(2028, 10, 31)),
]


@dataclass(frozen=True)
class Plan:
    """A mailing's periodicity and days, with an occurrence on the first and the last of them."""

    periodicity: Periodicity
    days: list[date]


def at_nine(day: date) -> datetime:
    return datetime.combine(day, time(9), BERLIN).astimezone(UTC)


def list_days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def is_last_of_month(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def make_plans(daily: list[tuple[date, date]]) -> list[Plan]:
    days = list_days(FIRST, LAST)
    return [
        *(Plan(Periodicity.DAILY, list_days(*period)) for period in daily),
        Plan(Periodicity.WEEKLY, days[::7]),
        Plan(Periodicity.MONTHLY, [day for day in days if is_last_of_month(day)]),
    ]


def run_jobs_at(at: datetime, app: Flask, work: Work) -> None:
    with time_machine.travel(at), app.app_context():
        schedule.make_scheduler().enqueue_jobs()
        work()


def create_mailing(user: User, plan: Plan) -> Mailing:
    start, end = at_nine(plan.days[0]), at_nine(plan.days[-1]) + timedelta(hours=1)
    return due_mailing(user, periodicity=plan.periodicity, starts_at=start, next_run_at=start, ends_at=end)


@pytest.mark.parametrize(
    "daily",
    [
        pytest.param(DAILY, id="special-days"),
        pytest.param([(FIRST, LAST)], id="every-day", marks=pytest.mark.soak),
    ],
)
def test_every_occurrence_within_a_year_has_exactly_one_run(
    app: Flask, session: Session, user: User, work: Work, smtp: SmtpServer, daily: list[tuple[date, date]]
) -> None:
    user.timezone = "Europe/Berlin"
    ClientFactory.create(owner=user)
    plans = make_plans(daily)
    mailings = [create_mailing(user, plan) for plan in plans]
    for day in sorted({day for plan in plans for day in plan.days}):
        # On days with several starts, also run jobs shortly before nine, when nothing may be sent.
        early = [at_nine(day) - timedelta(minutes=1)] if is_last_of_month(day) else []
        for at in (*early, at_nine(day) + timedelta(seconds=1)):
            run_jobs_at(at, app, work)
    run_jobs_at(at_nine(LAST) + timedelta(hours=1, seconds=20), app, work)

    assert date(2028, 2, 29) in plans[-1].days
    session.expire_all()
    for plan, mailing in zip(plans, mailings, strict=True):
        scheduled_times = session.scalars(
            select(Run.scheduled_for).where(Run.mailing_id == mailing.id).order_by(Run.scheduled_for)
        ).all()
        assert scheduled_times == [at_nine(day) for day in plan.days], plan.periodicity
        assert mailing.state is MailingState.FINISHED
    runs = session.scalars(select(Run)).all()
    assert Counter(run.state for run in runs) == {RunState.FINISHED: len(runs)}
    # The clock keeps running during the jobs, so a start can be late on a busy machine.
    assert all(run.started_at - run.scheduled_for < timedelta(minutes=1) for run in runs)
    assert len(smtp.letters) == len(runs)
