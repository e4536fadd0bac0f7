"""Test custom recurrences: from the form to the runs, and what pages say about them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.mailings.recurrence_text import describe_recurrence
from skymailing.models import Mailing, MailingState, Periodicity, RepeatUnit, Run, User
from tests.mailings.pages import mailing_fields
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory
from tests.support.servers import SmtpServer

# 1 December 2026 is a Tuesday.
TUESDAY = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
CUSTOM = {"periodicity": "custom", "starts_at": "2026-12-01T09:00", "ends_at": "2027-12-01T09:00"}


def save(browser: FlaskClient, session: Session, user: User, **fields: Any) -> Mailing:
    with time_machine.travel(TUESDAY):
        response = browser.post(
            "/mailings/new", data=mailing_fields(MessageFactory.create(owner=user), **CUSTOM | fields)
        )
    assert response.status_code == 302, response.text
    return session.scalars(select(Mailing)).one()


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("fields", "expected", "text"),
    [
        (
            {"repeat_unit": "week", "repeat_every": "2", "repeat_weekdays": ["5", "3"]},
            ["2026-12-02", "2026-12-04", "2026-12-16"],
            "every 2 weeks: Wednesday, Friday",
        ),
        (
            {
                "repeat_unit": "month",
                "repeat_every": "1",
                "repeat_on_last_day": "y",
                "repeat_weekdays": ["1"],
            },
            ["2026-12-31", "2027-01-31", "2027-02-28"],
            "every month, on the last day",
        ),
        ({"repeat_unit": "day", "repeat_every": "10"}, ["2026-12-01", "2026-12-11"], "every 10 days"),
        ({"repeat_unit": "year", "repeat_every": "1"}, ["2026-12-01"], "every year"),
        ({"periodicity": "yearly"}, ["2026-12-01"], "yearly"),
    ],
)
def test_a_custom_recurrence_runs_on_its_days(
    app: Flask,
    browser: FlaskClient,
    session: Session,
    user: User,
    smtp: SmtpServer,
    work: Callable[[], None],
    fields: dict[str, Any],
    expected: list[str],
    text: str,
) -> None:
    ClientFactory.create(owner=user)
    mailing = save(browser, session, user, **fields)
    with time_machine.travel(TUESDAY + timedelta(minutes=1)):
        assert text in browser.get(f"/mailings/{mailing.id}").text
        assert text in browser.get(f"/mailings/{mailing.id}/edit").text
    for _run in expected:
        session.refresh(mailing)
        assert mailing.next_run_at is not None
        with time_machine.travel(mailing.next_run_at + timedelta(seconds=1)):
            with app.app_context():
                jobs.run_sweep(utcnow())
            work()
    assert len(smtp.letters) == len(expected)
    starts = [at.isoformat() for at in session.scalars(select(Run.scheduled_for).order_by(Run.id))]
    assert starts == [f"{day}T09:00:00+00:00" for day in expected]


def test_the_forecast_shows_the_days(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user)
    fields = CUSTOM | {"repeat_unit": "week", "repeat_every": "1", "repeat_weekdays": ["1", "4"]}
    with time_machine.travel(TUESDAY):
        page = browser.post(
            "/mailings/preview", data=mailing_fields(MessageFactory.create(owner=user), **fields)
        ).text
    assert "every week: Monday, Thursday" in page
    days = ("3 Dec", "7 Dec", "10 Dec", "14 Dec")
    places = [page.index(day) for day in days]
    assert places == sorted(places)


@pytest.mark.parametrize("every", ["0", "-1", "367", "x", "99999999999"])
def test_the_interval_is_checked(browser: FlaskClient, session: Session, user: User, every: str) -> None:
    fields = CUSTOM | {"repeat_unit": "day", "repeat_every": every}
    with time_machine.travel(TUESDAY):
        page = browser.post("/mailings/new", data=mailing_fields(MessageFactory.create(owner=user), **fields))
    assert page.status_code == 200
    assert 'id="repeat_every-error"' in page.text
    assert session.scalar(select(Mailing)) is None


@pytest.mark.one_engine
def test_starting_now_is_an_occurrence_of_its_own(
    browser: FlaskClient, session: Session, user: User, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    ClientFactory.create(owner=user)
    mailing = save(browser, session, user, repeat_unit="week", repeat_every="1", repeat_weekdays=["3"])
    with time_machine.travel(TUESDAY + timedelta(minutes=1)):
        browser.post(f"/mailings/{mailing.id}/start")
        work()
    session.expire_all()
    assert session.scalars(select(Run.scheduled_for)).one() - TUESDAY < timedelta(minutes=2)
    assert mailing.next_run_at is not None
    assert timedelta() <= mailing.next_run_at - TUESDAY - timedelta(days=1) < timedelta(minutes=2)


@pytest.mark.parametrize(
    ("unit", "every", "expected"),
    [
        (RepeatUnit.DAY, 2, "каждые 2 дня"),
        (RepeatUnit.WEEK, 1, "каждую неделю: понедельник"),
        (RepeatUnit.WEEK, 5, "каждые 5 недель: понедельник"),
        (RepeatUnit.MONTH, 1, "каждый месяц, в последний день"),
        (RepeatUnit.YEAR, 21, "каждый 21 год"),
    ],
)
def test_recurrences_are_described_in_russian(
    app: Flask, user: User, unit: RepeatUnit, every: int, expected: str
) -> None:
    mailing = Mailing(
        periodicity=Periodicity.CUSTOM,
        repeat_unit=unit,
        repeat_every=every,
        repeat_weekdays="1" if unit is RepeatUnit.WEEK else "",
        repeat_on_last_day=unit is RepeatUnit.MONTH,
    )
    with app.test_request_context(headers={"Accept-Language": "ru"}):
        assert describe_recurrence(mailing) == expected


def test_changing_the_recurrence_moves_the_next_run(
    browser: FlaskClient, session: Session, user: User
) -> None:
    start = utcnow().replace(second=0, microsecond=0) + timedelta(days=3)
    mailing = MailingFactory.create(
        owner=user, state=MailingState.SCHEDULED, periodicity=Periodicity.WEEKLY, starts_at=start
    )
    mailing.next_run_at = start
    session.commit()
    day = (start + timedelta(days=2)).isoweekday()
    fields = mailing_fields(
        mailing.message,
        periodicity="custom",
        repeat_unit="week",
        repeat_every="1",
        repeat_weekdays=[str(day)],
        starts_at=start.strftime("%Y-%m-%dT%H:%M"),
        ends_at=(start + timedelta(days=90)).strftime("%Y-%m-%dT%H:%M"),
    )
    browser.post(f"/mailings/{mailing.id}/edit", data=fields)
    session.refresh(mailing)
    assert mailing.next_run_at == start + timedelta(days=2)
