"""Test the results of a run by hour."""

from datetime import UTC, datetime, timedelta

from flask import Flask
from flask.testing import FlaskClient

from skymailing.delivery.ledger.later_counts import add_later_counts
from skymailing.extensions import db
from skymailing.models import DeliveryState, User
from tests.mailings.breakdown_pages import path_of, read_table
from tests.mailings.pages import soup
from tests.support.factories import MailingFactory, create_run


def test_hours_are_those_of_the_readers_time_zone(app: Flask, user: User, browser: FlaskClient) -> None:
    user.timezone = "Asia/Kolkata"  # 5:30 ahead of UTC
    start = datetime(2026, 11, 22, 10, 10, tzinfo=UTC)
    mailing = MailingFactory.create(owner=user)
    run = create_run(mailing, {DeliveryState.SENT: 3, DeliveryState.EXPIRED: 1}, started_at=start)
    with app.app_context():
        for hours in (0.1, 0.5, 100.0):  # 15:46, 16:10 and later
            later = {run.id: {"unsubscribed": 1}}
            add_later_counts(db.session.connection(), later, start + timedelta(hours=hours))
        db.session.commit()
    assert read_table(soup(browser.get(path_of(run))), "hour") == {
        "22 Nov 2026, 15:00": {"Delivered": "3", "Not sent": "1", "Unsubscribed": "1"},
        "22 Nov 2026, 16:00": {"Delivered": "–", "Not sent": "–", "Unsubscribed": "1"},
        "26 Nov 2026, 19:00": {"Delivered": "–", "Not sent": "–", "Unsubscribed": "1"},
    }


def test_hours_after_the_first_ones_are_one_row(app: Flask, user: User, browser: FlaskClient) -> None:
    run = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 1})
    with app.app_context():
        for hours in range(1, 60):
            later = {run.id: {"returned": 1}}
            add_later_counts(db.session.connection(), later, run.started_at + timedelta(hours=hours))
        db.session.commit()
    shown = read_table(soup(browser.get(path_of(run))), "hour")
    assert len(shown) == 49
    assert shown["Later"] == {"Delivered": "–", "Not delivered": "12"}
