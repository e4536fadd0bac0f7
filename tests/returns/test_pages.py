"""Test the pages that show returned emails: the list, the decision, the run and the client."""

import csv
import io

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.models import User
from tests.returns.letters import make_complaint, make_status
from tests.returns.scenes import USER_UNKNOWN, Desk

pytestmark = pytest.mark.one_engine


def show(browser: FlaskClient, path: str) -> str:
    response = browser.get(path)
    assert response.status_code == 200
    return response.text


def check_download(browser: FlaskClient, keys: tuple[str, str, str]) -> None:
    """Check the file with a hard bounce, a complaint and a hard bounce that may be forged."""
    dead, angry, doubtful = keys
    assert download(browser, "") == [(dead, "hard"), (angry, "complaint"), (doubtful, "hard")]
    assert "/logs/returned.csv?kind=complaint" in show(browser, "/logs/returned?kind=complaint&cursor=")
    assert download(browser, "?kind=complaint") == [(angry, "complaint")]
    assert download(browser, "?kind=unclear") == [(doubtful, "hard")]
    assert download(browser, f"?kind=hard&q={dead.upper()}") == [(dead, "hard")]
    assert browser.get("/logs/returned.csv?kind=nonsense").status_code == 400


def download(browser: FlaskClient, query: str) -> list[tuple[str, str]]:
    """Return address and verdict of each row of the CSV file."""
    text = show(browser, f"/logs/returned.csv{query}").lstrip("\ufeff")
    return [(row["email"], row["verdict"]) for row in csv.DictReader(io.StringIO(text))]


def test_returned_emails_are_listed_with_reason_and_filter(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    desk = Desk(app, session, user)
    assert "No returned emails" in show(browser, "/logs/returned")
    dead, angry, doubtful = desk.send(), desk.send(), desk.send()
    desk.ingest(desk.bounce(dead, "550 5.1.1 <b>user</b> unknown"))
    desk.ingest(desk.complain(angry))
    desk.ingest(make_status(doubtful.email, "5.1.1", USER_UNKNOWN))

    page = show(browser, "/logs/returned")
    for delivery in (dead, angry, doubtful):
        assert f"/clients/{delivery.client_id}" in page
        assert delivery.run.mailing.name in page
    assert "&lt;b&gt;user&lt;/b&gt; unknown" in page
    assert page.count("This report may be forged") == 1
    shown = {
        kind: [d.email in show(browser, f"/logs/returned?kind={kind}") for d in (dead, angry, doubtful)]
        for kind in ("hard", "complaint", "unclear", "soft", "nonsense")
    }
    assert shown == {
        "hard": [True, False, True],
        "complaint": [False, True, False],
        "unclear": [False, False, True],
        "soft": [False] * 3,
        "nonsense": [True] * 3,
    }
    assert angry.email not in show(browser, f"/logs/returned?q={dead.email.upper()}")
    check_download(browser, (dead.email_key, angry.email_key, doubtful.email_key))

    run_page = show(browser, f"/mailings/runs/{dead.run_id}")
    assert "returned later</a>: <strong>" in run_page
    assert "Spam complaints" not in run_page
    assert "Spam complaints" in show(browser, f"/mailings/runs/{angry.run_id}")
    assert "address does not exist" in show(browser, f"/clients/{dead.client_id}")


def test_the_owner_decides_about_unclear_emails(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    desk = Desk(app, session, user)
    dead, alive, angry = desk.send(), desk.send(), desk.send()
    for delivery in (dead, alive):
        desk.ingest(make_status(delivery.email, "5.1.1", USER_UNKNOWN))
    desk.ingest(make_complaint(angry.email))

    for number, action in enumerate(("confirm", "dismiss", "confirm"), 1):
        for _ in range(2):  # pressed twice
            response = browser.post(f"/logs/returned/{number}/{action}", follow_redirects=True)
            assert response.status_code == 200
    assert browser.post("/logs/returned/2/confirm").status_code == 302  # too late

    session.expire_all()
    assert desk.suppressions() == {dead.email_key: "bounced", angry.email_key: "complained"}
    assert "This report may be forged" not in show(browser, "/logs/returned")
    assert "Returned emails" not in show(browser, f"/clients/{alive.client_id}")
