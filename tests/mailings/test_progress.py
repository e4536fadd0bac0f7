"""Test the rate, forecast and possible duplicates on a run's page and in `status`."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.mailings import progress as progress_module
from skymailing.mailings import queries
from skymailing.mailings.progress import measure_progress
from skymailing.mailings.progress_text import format_progress
from skymailing.models import (
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Outcome,
    User,
)
from tests.mailings.pages import get_main_text, soup
from tests.mailings.running import (
    DEFERRED,
    NOW,
    PENDING,
    SENT,
    add_attempts,
    add_deferred,
    create_running,
    measure,
)
from tests.support.factories import AttemptFactory, DeliveryFactory
from tests.support.statements import record_statements

# Rates and forecasts are computed in Python.
pytestmark = pytest.mark.one_engine

# --- Rate and forecast ------------------------------------------------------------------------


def test_the_rate_covers_the_last_minute(app: Flask, session: Session, user: User) -> None:
    run = create_running(user, {PENDING: 60})
    # The rate is high at first; then there is one attempt every two seconds. One attempt is a deferral.
    add_attempts(run, [200 + number / 10 for number in range(50)])
    add_attempts(run, [float(age) for age in range(0, 60, 2)])
    add_attempts(run, [1.0], Outcome.DEFERRED)
    progress, text = measure(app, run)
    assert progress.rate == pytest.approx(0.5, rel=0.02)
    assert text.rate == "30 emails per minute"
    assert progress.finishes_at is not None
    assert (progress.finishes_at - NOW).total_seconds() == pytest.approx(120, rel=0.02)
    assert text.time_left == "about 2 minutes"
    assert text.forecast == "At this rate, sending finishes at 12:02, before the mailing ends."


def test_a_high_rate_is_shown_per_second(app: Flask, session: Session, user: User) -> None:
    run = create_running(user, {PENDING: 1})
    add_attempts(run, [number / 10 for number in range(100)])
    assert measure(app, run)[1].rate == "10 emails per second"


@pytest.mark.both_engines
def test_only_the_newest_attempts_are_examined(
    app: Flask, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "RATE_SAMPLE", 100)
    run = create_running(user, {PENDING: 1})
    add_attempts(run, [30 + number / 100 for number in range(200)])
    add_attempts(run, [number / 50 for number in range(150)])
    assert measure(app, run)[0].rate == pytest.approx(50, rel=0.02), "50 per second, for three seconds"


def test_no_rate_is_shown_after_a_single_second(app: Flask, session: Session, user: User) -> None:
    run = create_running(user, {PENDING: 1000}, ends_at=NOW + timedelta(minutes=1))
    add_attempts(run, [1.0, 1.0, 1.0])
    progress, text = measure(app, run)
    assert (progress.rate, progress.would_expire, text.rate, text.forecast) == (None, 0, "", "")


def test_the_rate_after_a_single_batch_is_averaged_over_the_minute(
    app: Flask, session: Session, user: User
) -> None:
    run = create_running(user, {PENDING: 1})
    add_attempts(run, [40.0] * 30)
    assert measure(app, run)[0].rate == pytest.approx(0.5)


@pytest.mark.both_engines
def test_letters_that_miss_the_end_are_counted(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    run = create_running(user, {PENDING: 200}, ends_at=NOW + timedelta(seconds=84))
    add_attempts(run, [float(age) for age in range(60)])  # one per second
    progress, text = measure(app, run)
    assert progress.finishes_at is None
    assert progress.would_expire == pytest.approx(116, abs=2)
    assert (
        text.forecast == "Not enough time: about 120 emails will not be sent before the mailing ends (12:01)."
    )
    assert text.time_left == ""


def test_letters_due_after_the_end_always_expire(app: Flask, session: Session, user: User) -> None:
    run = create_running(user, {SENT: 3}, ends_at=NOW + timedelta(hours=1))
    for hours in (0.5, 2, 3):
        add_deferred(run, NOW + timedelta(hours=hours))
    progress, text = measure(app, run)
    assert progress.would_expire == 2
    assert (
        text.forecast == "Not enough time: about 2 emails will not be sent before the mailing ends (13:00)."
    )
    assert text.deferred == "3 emails will be retried, the next one at 12:30."


def test_there_is_no_forecast_while_all_letters_await_a_retry(
    app: Flask, session: Session, user: User
) -> None:
    run = create_running(user, {}, ends_at=NOW + timedelta(hours=3))
    for _ in range(40):
        DeliveryFactory.create(run=run, state=DEFERRED, due_at=NOW + timedelta(hours=2))
    add_attempts(run, [59.0, 30.0])
    progress, text = measure(app, run)
    assert (progress.finishes_at, progress.would_expire, text.forecast) == (None, 0, "")
    assert text.deferred == "40 emails will be retried, the next one at 14:00."


def test_the_forecast_includes_the_last_retry(app: Flask, session: Session, user: User) -> None:
    run = create_running(user, {PENDING: 1})
    add_deferred(run, NOW + timedelta(hours=15))
    add_attempts(run, [float(age) for age in range(60)])
    tomorrow = NOW + timedelta(hours=15)
    assert measure(app, run)[0].finishes_at == tomorrow
    assert measure(app, run)[1].forecast == (
        f"At this rate, sending finishes at {tomorrow.day} {tomorrow:%b}, 03:00, before the mailing ends."
    )


@pytest.mark.parametrize(
    "values", [{"state": MailingState.PAUSED}, {"state": MailingState.FINISHED}, {"disabled_at": NOW}]
)
def test_a_mailing_that_is_not_sending_has_no_rate(
    app: Flask, session: Session, user: User, values: dict[str, Any]
) -> None:
    run = create_running(user, {PENDING: 5}, **values)
    add_attempts(run, [10.0, 5.0, 0.0])
    progress, text = measure(app, run)
    assert (progress.rate, progress.finishes_at, text.rate, text.routes) == (None, None, "", [])


def test_numbers_and_plurals_are_translated(app: Flask, session: Session, user: User) -> None:
    run = create_running(user, {PENDING: 200}, ends_at=NOW + timedelta(seconds=84))
    add_attempts(run, [float(age) for age in range(60)])
    with app.test_request_context(), force_locale("ru"):
        mailing = db.session.get_one(Mailing, run.mailing_id)
        ledger = queries.count_last_run(mailing)
        assert ledger
        text = format_progress(measure_progress(mailing, ledger, NOW))
    assert text.rate == "60 писем в минуту"
    assert text.forecast == "Времени не хватит: до окончания рассылки (12:01) не уйдёт примерно 120 писем."


# --- Possible duplicates ----------------------------------------------------------------------


@pytest.mark.both_engines
def test_possible_duplicates_are_counted_by_outcome(app: Flask, session: Session, user: User) -> None:
    run = create_running(user, {PENDING: 1, SENT: 5, DeliveryState.UNKNOWN: 2})
    for minutes in (20, 25):
        due_at = NOW + timedelta(minutes=minutes)
        DeliveryFactory.create(run=run, state=DEFERRED, unknowns=1, due_at=due_at)
    DeliveryFactory.create(run=run, state=DEFERRED, due_at=NOW + timedelta(minutes=3))
    DeliveryFactory.create(run=run, state=SENT, unknowns=1, attempts=2)
    # The mail server's log later showed that this letter had been sent.
    DeliveryFactory.create(run=run, state=SENT, unknowns=1, attempts=1)
    DeliveryFactory.create(run=run, state=DeliveryState.UNKNOWN, unknowns=2, finished_at=NOW)
    progress, text = measure(app, run)
    assert (progress.unknowns.waiting, progress.unknowns.left) == (2, 1)
    assert "2 emails are unclear: they may have arrived" in text.waiting
    assert text.unknowns == [
        "2 unclear emails will be sent again from 12:20 and may arrive twice.",
        "1 unclear email was sent again and may have arrived twice.",
        "1 unclear email will not be sent again.",
    ]


@pytest.mark.only_on("sqlite", reason="the hint that names the index is for SQLite only")
def test_duplicates_are_counted_with_their_partial_index(app: Flask, user: User) -> None:
    run = create_running(user, {SENT: 1})
    with record_statements() as statements:
        measure(app, run)
    # SQLite raises an error if it cannot use the index that a hint names.
    assert [found for found in statements if "INDEXED BY ix_deliveries_unknowns" in found]


# --- The page ---------------------------------------------------------------------------------


@pytest.mark.both_engines
def test_the_page_shows_times_in_the_readers_time_zone(
    session: Session, user: User, browser: FlaskClient
) -> None:
    user.timezone = "Asia/Yekaterinburg"
    session.flush()
    run = create_running(user, {PENDING: 5}, ends_at=utcnow() + timedelta(days=1))
    due_at = utcnow() + timedelta(hours=1)
    DeliveryFactory.create(run=run, state=DEFERRED, due_at=due_at)
    page = get_main_text(browser.get(f"/mailings/{run.mailing_id}"))
    assert f"{due_at + timedelta(hours=5):%H:%M}." in page


def test_the_live_part_shows_rate_forecast_and_warning(
    session: Session, user: User, browser: FlaskClient
) -> None:
    now = utcnow()
    run = create_running(user, {PENDING: 500}, ends_at=now + timedelta(days=1))
    run.started_at = now - timedelta(minutes=2)
    delivery = session.scalars(select(Delivery).limit(1)).one()
    for number in range(1, 31):
        at = now - timedelta(seconds=60 - 2 * number)
        AttemptFactory.create(delivery=delivery, number=number, at=at)
    url = f"/mailings/{run.mailing_id}/progress"
    pace = " ".join(soup(browser.get(url)).select("#pace")[0].get_text(" ").split())
    assert "emails per minute" in pace
    assert "Time left about" in pace
    assert "before the mailing ends" in pace
    run.mailing.ends_at = now + timedelta(minutes=2)
    session.flush()
    live = soup(browser.get(url))
    assert "emails will not be sent before the mailing ends" in live.select("#does-not-fit")[0].get_text()
    assert "Time left" not in live.select("#pace")[0].get_text()
