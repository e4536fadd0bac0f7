"""Test the rate that the forecast expects: measured, limited, or unknown."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from skymailing.delivery.routing import routes
from skymailing.models import (
    BreakerState,
    MailingState,
    Route,
    Run,
    User,
)
from tests.conftest import SignIn
from tests.mailings.forecasting import NOW, add_measured_run, get_text, preview
from tests.support.factories import (
    MailingFactory,
    count_changes,
    create_clients,
    create_run,
)

# Rates are computed in Python.
pytestmark = pytest.mark.one_engine


@pytest.fixture
def browser(user: User, sign_in: SignIn) -> FlaskClient:
    with time_machine.travel(NOW):
        return sign_in(user)


@pytest.mark.both_engines
def test_the_forecast_warns_if_there_is_not_enough_time_at_the_measured_rate(
    browser: FlaskClient, user: User
) -> None:
    create_clients(user, 30)
    add_measured_run(user, per_second=5)
    period: dict[str, Any] = {"periodicity": "once", "starts_at": "2026-10-23T09:00:00"}
    sufficient = preview(browser, user, **period, ends_at="2026-10-23T09:00:10")
    assert "Expected rate: 5 emails per second." in get_text(sufficient)
    assert "all sent by about" in get_text(sufficient)
    assert "Not enough time" not in get_text(sufficient)
    insufficient = preview(browser, user, **period, ends_at="2026-10-23T09:00:02")
    assert "Not enough time: about 20 emails will not be sent" in get_text(insufficient)


def test_a_configured_limit_is_the_expected_rate(
    app: Flask, browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_clients(user, 3)
    add_measured_run(user, per_second=5)
    monkeypatch.setitem(app.config, "MAIL_RATE_PER_MAILING", 0.5)
    response = preview(browser, user, ends_at="2026-10-23T09:00:04", periodicity="once")
    assert "Expected rate: 30 emails per minute." in get_text(response)
    assert "about 1 email will not be sent before the mailing ends" in get_text(response)


def test_differing_rates_predict_nothing(browser: FlaskClient, user: User) -> None:
    """One of the runs may have used a slow server that has since been replaced."""
    create_clients(user, 3)
    add_measured_run(user, per_second=5)
    add_measured_run(user, per_second=200)
    text = get_text(preview(browser, user))
    assert "3 clients" in text
    assert "Expected rate" not in text


def test_a_run_with_a_test_predicts_nothing(browser: FlaskClient, session: Session, user: User) -> None:
    """Most of its letters were sent hours after its start."""
    create_clients(user, 3)
    add_measured_run(user, per_second=5)
    session.execute(update(Run).values(test_ends_at=NOW))
    session.flush()
    assert "Expected rate" not in get_text(preview(browser, user))


def test_a_very_short_run_predicts_nothing(browser: FlaskClient, user: User) -> None:
    """Its letters may all have left in a tenth of the second in which they are counted."""
    create_clients(user, 3)
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    run = create_run(mailing, {}, planned=300, scheduled_for=NOW - timedelta(days=3))
    with count_changes(run) as changes:
        changes.add("sent", 300, run.started_at)
    assert "Expected rate" not in get_text(preview(browser, user))


def test_the_limit_that_the_mail_server_has_shown_is_the_expected_rate(
    browser: FlaskClient, user: User, session: Session
) -> None:
    create_clients(user, 3)
    add_measured_run(user, per_second=50)
    session.add(Route(name=routes.PRIMARY, state=BreakerState.CLOSED, pace=3.0))
    session.flush()
    assert "Expected rate: 3 emails per second." in get_text(preview(browser, user))
