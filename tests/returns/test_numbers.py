"""Test where the numbers of returned letters and complaints appear."""

import csv
import io
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.ledger import reconciliation, run_counts
from skymailing.extensions import db
from skymailing.mailings import summaries
from skymailing.models import Delivery, RunInterval, UsageKind, User
from skymailing.monitoring.doctor import returned
from skymailing.quotas import counting
from tests.monitoring.test_metrics import read_metrics
from tests.returns.scenes import Desk


@pytest.fixture
def desk_and_delivery(app: Flask, session: Session, user: User) -> tuple[Desk, Delivery]:
    """Ingest a bounce and a complaint about a letter, and an unclear letter."""
    desk = Desk(app, session, user)
    delivery = desk.send()
    desk.ingest(desk.bounce(delivery))
    desk.ingest(desk.complain(delivery))
    desk.ingest(b"Call me")
    return desk, delivery


def test_reports_and_summaries_count_returned_letters_on_the_day_they_came_back(
    desk_and_delivery: tuple[Desk, Delivery], user: User, browser: FlaskClient
) -> None:
    desk, delivery = desk_and_delivery
    report = browser.get("/reports/").text
    # The tables by day and by mailing count it as not delivered; their full versions, and the list of all
    # numbers, have it by itself.
    assert "returned later</a>: <strong>1</strong>" in report
    assert (
        report.count("Returned later")
        == report.count('<th scope="col" class="number">Returned later') + 1
        == 3
    )
    rows = list(csv.DictReader(io.StringIO(browser.get("/reports/report.csv").text.lstrip("\ufeff"))))
    assert [(row["sent"], row["returned"], row["complaints"]) for row in rows] == [("1", "1", "1")]
    page = browser.get(f"/mailings/{delivery.run.mailing_id}").text
    assert "returned later</a>: <strong>1</strong>" in page
    assert "Spam complaints" in page

    with desk.app.app_context():
        now = utcnow()
        owner = db.session.get_one(User, user.id)
        values = summaries.summarize(owner, now - timedelta(minutes=20), now + timedelta(minutes=1))
        letter = desk.app.jinja_env.get_template("emails/daily-summary/body.txt").render(
            public_url=lambda *_, **__: "", **values or {}
        )
    assert "returned later: 1, marked as spam: 1" in letter


def test_a_recount_keeps_returned_letters(desk_and_delivery: tuple[Desk, Delivery]) -> None:
    desk, delivery = desk_and_delivery
    with desk.app.app_context(), db.engine.begin() as connection:
        (run,) = run_counts.run_keys(connection, [delivery.run_id])
        reconciliation.recount(connection, run)
        sums = [func.sum(RunInterval.__table__.c[name]) for name in ("sent", "returned", "complaints")]
        assert tuple(connection.execute(select(*sums)).one()) == (1, 1, 1)


@pytest.mark.one_engine
def test_metrics_count_verdicts(desk_and_delivery: tuple[Desk, Delivery], visitor: FlaskClient) -> None:
    metrics = read_metrics(visitor)

    counted = {name: metrics["skymailing_returned_total", name] for name in ("hard", "complaint", "unclear")}
    assert counted == {"hard": 1, "complaint": 1, "unclear": 1}
    assert metrics["skymailing_returned_unclear", ""] == 1
    assert metrics["skymailing_owners_paused", ""] == 0


@pytest.mark.one_engine
def test_doctor_warns_of_complaints_and_of_unclear_letters(
    desk_and_delivery: tuple[Desk, Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, _ = desk_and_delivery

    def check(letters: int) -> list[tuple[bool, bool]]:
        with desk.app.app_context(), db.engine.begin() as connection:
            counting.add(connection, desk.user.id, UsageKind.LETTERS, letters, utcnow())
        with desk.app.app_context():
            return [(found.is_ok, found.is_known) for found in returned.check_returned()]

    assert check(900) == [(True, True), (True, False)]
    assert check(50) == [(True, True), (True, False)]
    monkeypatch.setattr(returned, "MAX_UNCLEAR", 0)
    assert check(49) == [(False, True), (True, False)]
    assert check(1) == [(False, True), (True, True)]
    monkeypatch.setattr(returned, "MAX_COMPLAINTS", 0.05)
    assert check(0) == [(False, True), (False, True)]
