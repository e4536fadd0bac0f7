"""Test editing a mailing: a run keeps its content, and changed times move the next start."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from bs4 import Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing import schedule
from skymailing.clock import utcnow
from skymailing.mailings.forms import MailingForm
from skymailing.models import (
    DeliveryState,
    Mailing,
    MailingState,
    OnUnknown,
    Periodicity,
    Run,
    RunState,
    User,
)
from tests.mailings.pages import format_local, get_field_error, mailing_fields, soup
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, create_run
from tests.support.servers import SmtpServer

Work = Callable[[], None]
NOW = utcnow().replace(microsecond=0)


def edit(browser: FlaskClient, mailing: Mailing, **changes: Any) -> TestResponse:
    """Submit the form with the values on the page, except for `changes`."""
    url = f"/mailings/{mailing.id}/edit"
    page = soup(browser.get(url))
    fields: dict[str, Any] = {
        "name": mailing.name,
        "message": str(mailing.message_id),
        "audience": mailing.audience.value,
        "starts_at": "",
        "periodicity": mailing.periodicity.value,
        "on_unknown": mailing.on_unknown.value,
    }
    for name in ("starts_at", "ends_at"):
        field = page.select_one(f'[name="{name}"]')
        fields[name] = str(field["value"]) if isinstance(field, Tag) else ""
    return browser.post(url, data=fields | changes)


def read_scheduled_start(app: Flask, mailing: Mailing) -> float | None:
    with app.app_context():
        scheduler = schedule.make_scheduler()
        score = scheduler.connection.zscore(scheduler.scheduled_jobs_key, f"mailing-{mailing.id}")
        scheduler.connection.connection_pool.disconnect()
        return float(score) if score is not None else None


def create_daily_mailing(owner: User, **values: Any) -> Mailing:
    """Create a daily mailing that started ten days and an hour ago and ends in thirty days."""
    defaults = {
        "periodicity": Periodicity.DAILY,
        "state": MailingState.RUNNING,
        "starts_at": NOW - timedelta(days=10, hours=1),
        "ends_at": NOW + timedelta(days=30),
    }
    mailing: Mailing = MailingFactory.create(owner=owner, **defaults | values)
    return mailing


@pytest.mark.one_engine
@pytest.mark.parametrize("has_run", [False, True])
@pytest.mark.parametrize("state", list(MailingState))
def test_every_mailing_except_a_cancelled_one_can_be_edited(
    browser: FlaskClient, user: User, session: Session, state: MailingState, has_run: bool
) -> None:
    mailing = MailingFactory.create(owner=user, state=state)
    if has_run:
        create_run(mailing, {DeliveryState.SENT: 1})
    can_edit = state is not MailingState.CANCELLED
    assert (f"/mailings/{mailing.id}/edit" in browser.get(f"/mailings/{mailing.id}").text) is can_edit
    response = edit(browser, mailing, name="Renamed", ends_at=format_local(NOW + timedelta(days=2)))
    session.refresh(mailing)
    assert (mailing.name == "Renamed") is can_edit
    assert ("cannot be edited" in response.text) is not can_edit


def test_a_current_run_keeps_its_content_and_uses_the_new_end_and_hours(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    mailing = create_daily_mailing(user, message=MessageFactory.create(owner=user, subject="Old"))
    create_run(mailing, {DeliveryState.PENDING: 2}, scheduled_for=NOW - timedelta(hours=1), state="planned")
    new, later = MessageFactory.create(owner=user, subject="New"), ClientFactory.create(owner=user)
    assert "apply from the next send" in browser.get(f"/mailings/{mailing.id}/edit").text
    changes = {
        "audience": "selected",
        "clients": [later.id],
        "on_unknown": "hold",
        "ends_at": "2099-01-01T00:00",
    }
    hours = {
        "opens_at": f"{NOW - timedelta(hours=1):%H:%M}",
        "closes_at": f"{NOW + timedelta(hours=2):%H:%M}",
    }
    response = edit(browser, mailing, name="New", message=str(new.id), **changes, **hours)
    assert response.status_code == 302
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.RUNNING, None)
    assert (mailing.message_id, mailing.on_unknown, mailing.ends_at.year) == (new.id, OnUnknown.HOLD, 2099)
    assert mailing.opens_at is not None
    work()
    assert [b"Subject: Old" in letter.content for letter in smtp.letters] == [True, True]
    assert later.email not in smtp.per_address()
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, NOW + timedelta(hours=23))


def test_a_new_time_of_day_applies_from_the_next_occurrence(
    app: Flask, browser: FlaskClient, user: User, session: Session, work: Work
) -> None:
    running, waiting = create_daily_mailing(user), create_daily_mailing(user, state=MailingState.SCHEDULED)
    state = {running: RunState.SENDING, waiting: RunState.FINISHED}
    for mailing in (running, waiting):
        scheduled_for = NOW - timedelta(hours=1)
        create_run(mailing, {DeliveryState.SENT: 1}, scheduled_for=scheduled_for, state=state[mailing])
        # The new time of day was half an hour ago, after today's run.
        edit(browser, mailing, starts_at=format_local(NOW - timedelta(days=10, minutes=30)))
    work()
    for mailing in (running, waiting):
        session.refresh(mailing)
        expected = (NOW + timedelta(days=1) - timedelta(minutes=30)).replace(second=0)
        assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, expected)
    assert read_scheduled_start(app, waiting) == expected.timestamp()


def test_a_waiting_mailing_saved_unchanged_keeps_its_next_start(
    browser: FlaskClient, user: User, session: Session
) -> None:
    for state in (MailingState.SCHEDULED, MailingState.PAUSED):
        mailing = create_daily_mailing(user, state=state, starts_at=NOW - timedelta(days=3, microseconds=5))
        create_run(mailing, {DeliveryState.SENT: 1}, scheduled_for=mailing.starts_at)
        start, next_run_at = mailing.starts_at, NOW + timedelta(hours=5)
        mailing.next_run_at = next_run_at
        session.flush()
        edit(browser, mailing, name="Renamed")
        session.refresh(mailing)
        assert (mailing.state, mailing.next_run_at) == (state, next_run_at)
        assert (mailing.name, mailing.starts_at) == ("Renamed", start)


@pytest.mark.one_engine
def test_forged_values_for_a_mailing_that_has_run_are_ignored(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, sender_name="Лавка")
    create_run(mailing, {DeliveryState.SENT: 1})
    fixed_fields = ("message_id", "audience", "starts_at", "periodicity", "sender_name", "on_late")
    before = [getattr(mailing, name) for name in fixed_fields]
    url = f"/mailings/{mailing.id}/edit"
    field_names = {tag["name"] for tag in soup(browser.get(url)).select("#mailing-form [name]")}
    assert not field_names & set(MailingForm.FIXED)
    fields = mailing_fields(
        MessageFactory.create(owner=user),
        name="Renamed",
        audience="selected",
        clients=["no one"],
        sender_name="Evil\r\nBcc: x@example.com",
        starts_at=format_local(NOW + timedelta(hours=1)),
        periodicity="hourly",
        on_late="skip",
    )
    assert browser.post(url, data=fields).status_code == 302
    session.refresh(mailing)
    assert [getattr(mailing, name) for name in fixed_fields] == before
    assert (mailing.name, mailing.state) == ("Renamed", MailingState.FINISHED)


def test_saving_a_form_opened_before_a_run_reports_what_was_not_changed(
    browser: FlaskClient, user: User, session: Session, work: Work
) -> None:
    ClientFactory.create(owner=user)
    once = MailingFactory.create(owner=user)
    recurring = create_daily_mailing(user, state=MailingState.SCHEDULED, next_run_at=NOW)
    session.flush()
    other = MessageFactory.create(owner=user)
    # In another tab, both are started, and the daily one is paused.
    for mailing in (once, recurring):
        browser.post(f"/mailings/{mailing.id}/start")
    work()
    session.expire_all()
    create_run(recurring, {DeliveryState.PENDING: 1}, state=RunState.SENDING, scheduled_for=utcnow())
    recurring.state = MailingState.PAUSED
    session.flush()
    notices = {}
    for mailing in (once, recurring):
        values = {"periodicity": mailing.periodicity.value, "starts_at": format_local(mailing.starts_at)}
        end = format_local(NOW + timedelta(days=2))
        fields = mailing_fields(other, name="Renamed", ends_at=end, **values)
        page = browser.post(f"/mailings/{mailing.id}/edit", data=fields, follow_redirects=True)
        notices[mailing] = soup(page).select_one(".flashes").get_text(" ")  # type: ignore[union-attr]
    assert "has already been sent" in notices[once]
    assert "apply from the next send" in notices[recurring]
    session.expire_all()
    assert (once.name, once.message_id != other.id) == ("Renamed", True)
    assert (recurring.name, recurring.message_id == other.id) == ("Renamed", True)


@pytest.mark.parametrize("state", [MailingState.RUNNING, MailingState.PAUSED])
def test_an_end_in_the_past_is_rejected_during_a_run(
    browser: FlaskClient, user: User, session: Session, state: MailingState
) -> None:
    for make in (create_daily_mailing, MailingFactory.create):
        mailing = make(user, state=state) if make is create_daily_mailing else make(owner=user, state=state)
        create_run(mailing, {DeliveryState.PENDING: 1}, state=RunState.SENDING)
        previous_end = mailing.ends_at
        response = edit(browser, mailing, ends_at=format_local(NOW - timedelta(seconds=61)))
        assert "cancel the mailing" in get_field_error(response, "ends_at")
        session.refresh(mailing)
        assert mailing.ends_at == previous_end


def test_a_later_end_reactivates_a_finished_recurring_mailing(
    app: Flask, browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    mailing = create_daily_mailing(user, state=MailingState.FINISHED, ends_at=NOW - timedelta(days=3))
    run = create_run(mailing, {DeliveryState.FAILED: 1}, scheduled_for=NOW - timedelta(days=4, hours=1))
    edit(browser, mailing, name="Over")
    session.refresh(mailing)
    assert (mailing.name, mailing.state) == ("Over", MailingState.FINISHED)

    edit(browser, mailing, ends_at=format_local(NOW + timedelta(days=3)))
    session.refresh(mailing)
    next_start = NOW + timedelta(hours=23)
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, next_start)
    assert read_scheduled_start(app, mailing) == next_start.timestamp()

    # Resending letters from the old run does not start a new run early.
    browser.post(f"/mailings/{mailing.id}/resend-failed")
    work()
    session.refresh(mailing)
    assert len(smtp.letters) == 1
    assert session.scalars(select(Run.id)).all() == [run.id]
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, next_start)


def test_a_later_end_allows_resending_failed_letters(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    values = {"starts_at": NOW - timedelta(days=2), "ends_at": NOW - timedelta(days=1)}
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, **values)
    create_run(mailing, {DeliveryState.FAILED: 2})
    assert "do-resend-failed" not in browser.get(f"/mailings/{mailing.id}").text
    edit(browser, mailing, ends_at=format_local(NOW + timedelta(days=1)))
    browser.post(f"/mailings/{mailing.id}/resend-failed")
    work()
    session.refresh(mailing)
    assert len(smtp.letters) == 2
    assert mailing.state is MailingState.FINISHED


def test_a_mailing_that_missed_its_period_starts_in_a_new_one(
    browser: FlaskClient, user: User, session: Session
) -> None:
    values = {"starts_at": NOW - timedelta(days=2), "ends_at": NOW - timedelta(days=1)}
    reasons = {"state": MailingState.FINISHED, "state_reason": "window-over"}
    skipped = MailingFactory.create(owner=user, **values, **reasons)
    create_run(skipped, {}, state=RunState.SKIPPED, scheduled_for=skipped.starts_at)
    for mailing in (MailingFactory.create(owner=user, **values, **reasons), skipped):
        start, end = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
        edit(browser, mailing, starts_at=format_local(start), ends_at=format_local(end))
        session.refresh(mailing)
        assert (mailing.state, mailing.state_reason) == (MailingState.SCHEDULED, "")
        assert mailing.next_run_at == start.replace(second=0)


def test_editing_a_recurring_mailing_between_runs_does_not_repeat_the_last_one(
    browser: FlaskClient, user: User, session: Session
) -> None:
    start = utcnow().replace(second=0, microsecond=0) - timedelta(days=10)
    mailing = MailingFactory.create(
        owner=user, state=MailingState.SCHEDULED, periodicity=Periodicity.WEEKLY, starts_at=start
    )
    create_run(mailing, {DeliveryState.SENT: 1}, scheduled_for=start + timedelta(weeks=1))
    fields = mailing_fields(
        mailing.message,
        periodicity="weekly",
        starts_at=format_local(start),
        ends_at=format_local(start + timedelta(days=90)),
    )
    browser.post(f"/mailings/{mailing.id}/edit", data=fields)
    session.refresh(mailing)
    assert mailing.next_run_at == start + timedelta(weeks=2)
    # Once it is a one-time mailing, it has already run.
    browser.post(f"/mailings/{mailing.id}/edit", data=fields | {"periodicity": "once"})
    session.refresh(mailing)
    after: tuple[MailingState, object] = (mailing.state, mailing.next_run_at)
    assert after == (MailingState.FINISHED, None)
