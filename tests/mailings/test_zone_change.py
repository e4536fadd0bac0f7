"""Test that each occurrence is sent once, at the same hour, when the owner's time zone changes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import jobs, schedule
from skymailing.clock import utcnow
from skymailing.delivery.calendar.recurrence import Recurrence, find_occurrence, find_occurrence_number
from skymailing.models import (
    DeliveryState,
    Mailing,
    MailingState,
    Periodicity,
    RepeatUnit,
    Run,
    RunState,
    User,
)
from tests.conftest import SignIn
from tests.support.factories import MailingFactory, UserFactory, create_run
from tests.support.servers import SmtpServer

Work = Callable[[], None]
# Both are 9:00 in Moscow. In Berlin, that is 8:00 in summer and 7:00 in winter.
SUMMER, TODAY = datetime(2026, 7, 1, 6, 0, tzinfo=UTC), datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
TOMORROW_IN_BERLIN = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
CHANGED_AT = TODAY + timedelta(minutes=90)


@pytest.fixture
def user(session: Session) -> User:
    user: User = UserFactory.create(timezone="Europe/Moscow")
    return user


@pytest.fixture
def browser(user: User, sign_in: SignIn) -> FlaskClient:
    with time_machine.travel(CHANGED_AT):
        return sign_in(user)


def create_daily_mailing(owner: User, state: MailingState, run_state: RunState, **values: Any) -> Mailing:
    """Create a daily mailing with one recipient, whose run for today is finished or in progress."""
    is_finished = run_state is RunState.FINISHED
    mailing: Mailing = MailingFactory.create(
        owner=owner,
        state=state,
        **{"periodicity": Periodicity.DAILY, "starts_at": SUMMER, "ends_at": SUMMER + timedelta(days=300)}
        | {"next_run_at": TODAY + timedelta(days=1) if is_finished else None}
        | values,
    )
    letters = {DeliveryState.SENT if is_finished else DeliveryState.PENDING: 1}
    create_run(mailing, letters, scheduled_for=TODAY, state=run_state)
    return mailing


def change_zone(browser: FlaskClient, zone: str = "Europe/Berlin", now: datetime = CHANGED_AT) -> None:
    with time_machine.travel(now):
        fields = {"name": "", "locale": "en", "timezone": zone, "summary_hour": ""}
        assert browser.post("/auth/profile", data=fields).status_code == 302


def read_scheduled_start(app: Flask, mailing: Mailing) -> float | None:
    with app.app_context():
        scheduler = schedule.make_scheduler()
        score = scheduler.connection.zscore(scheduler.scheduled_jobs_key, f"mailing-{mailing.id}")
        return float(score) if score is not None else None


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("state", "run_state"),
    [
        (MailingState.SCHEDULED, RunState.FINISHED),
        (MailingState.PAUSED, RunState.FINISHED),
        (MailingState.RUNNING, RunState.SENDING),
    ],
)
def test_a_client_with_todays_letter_gets_the_next_one_tomorrow(
    app: Flask,
    browser: FlaskClient,
    user: User,
    session: Session,
    smtp: SmtpServer,
    work: Work,
    state: MailingState,
    run_state: RunState,
) -> None:
    mailing = create_daily_mailing(user, state, run_state)
    change_zone(browser)
    session.refresh(mailing)
    assert mailing.next_run_at == TOMORROW_IN_BERLIN
    if state is MailingState.PAUSED:
        return
    if state is MailingState.SCHEDULED:
        assert read_scheduled_start(app, mailing) == TOMORROW_IN_BERLIN.timestamp()
    for at in (
        CHANGED_AT,
        TODAY + timedelta(days=1),
        TOMORROW_IN_BERLIN,
        TOMORROW_IN_BERLIN + timedelta(days=1),
    ):
        with time_machine.travel(at + timedelta(seconds=1)), app.app_context():
            jobs.run_sweep(utcnow())
            work()
    scheduled_times = session.scalars(select(Run.scheduled_for).order_by(Run.scheduled_for)).all()
    assert scheduled_times == [TODAY, TOMORROW_IN_BERLIN, TOMORROW_IN_BERLIN + timedelta(days=1)]
    assert len(smtp.letters) == (3 if state is MailingState.RUNNING else 2)


def test_one_time_mailings_and_manual_starts_keep_their_time(
    browser: FlaskClient, user: User, session: Session
) -> None:
    later = TODAY + timedelta(days=2)
    once = MailingFactory.create(owner=user, state=MailingState.SCHEDULED, starts_at=later, next_run_at=later)
    manual = create_daily_mailing(
        user, MailingState.SCHEDULED, RunState.FINISHED, next_run_at=CHANGED_AT - timedelta(seconds=1)
    )
    foreign = create_daily_mailing(
        UserFactory.create(timezone="Europe/Moscow"), MailingState.SCHEDULED, RunState.FINISHED
    )
    before = {mailing: mailing.next_run_at for mailing in (once, manual, foreign)}
    change_zone(browser)
    session.expire_all()
    assert {mailing: mailing.next_run_at for mailing in before} == before


def test_the_mailing_finishes_if_its_last_occurrence_moves_past_the_end(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = create_daily_mailing(
        user, MailingState.SCHEDULED, RunState.FINISHED, ends_at=TODAY + timedelta(days=1, minutes=30)
    )
    change_zone(browser)
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.FINISHED, None)


ZONES = ["Europe/Moscow", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]


@given(
    st.integers(0, 96 * 400),
    st.sampled_from(ZONES),
    st.sampled_from([Recurrence(unit) for unit in RepeatUnit]),
    st.integers(0, 400),
)
def test_only_an_occurrences_exact_time_has_a_number(
    quarters: int, name: str, rule: Recurrence, number: int
) -> None:
    anchor, zone = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarters), ZoneInfo(name)
    at = find_occurrence(anchor, rule, zone, number)
    assert find_occurrence_number(anchor, rule, zone, at) == number
    assert find_occurrence_number(anchor, rule, zone, at + timedelta(seconds=1)) is None
