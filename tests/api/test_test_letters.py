"""Test transactional letters added with test keys: limits, closing a day's letters, and their page."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.delivery import catching
from skymailing.letters import services as letter_services
from skymailing.models import Run, RunState, User
from tests.api.conftest import LETTER, Program, arrived
from tests.conftest import SetLimits
from tests.delivery.ledger import check_ledger
from tests.support.servers import SmtpServer

Work = Callable[[], None]


def test_a_live_letter_from_the_same_sender_is_sent(
    tester: Program, program: Program, smtp: SmtpServer, work: Work
) -> None:
    tested = tester.write("POST", "/letters", LETTER, 201)
    sent = program.write("POST", "/letters", LETTER | {"to": "bo@example.org"}, 201)
    work()
    assert [letter.to for letter in smtp.letters] == ["bo@example.org"]
    assert [letter["id"] for letter in tester.read_all("/letters")] == [tested["id"]]
    assert [letter["id"] for letter in program.read_all("/letters")] == [sent["id"]]


def test_test_letters_are_found_by_address_and_by_delivery(tester: Program, work: Work) -> None:
    anna = tester.write("POST", "/letters", LETTER | {"to": "Anna@example.org"}, 201)
    bo = tester.write("POST", "/letters", LETTER | {"to": "bo@example.org"}, 201)
    work()
    for query, found in (
        ("email=anna@example.org", [anna["id"]]),
        (f"delivery_id={bo['id']}", [bo["id"]]),
        (f"delivery_id={bo['id']}&email=anna@example.org", []),
    ):
        letters = tester.read_all(f"/test-letters?{query}")
        assert [letter["delivery_id"] for letter in letters] == found


def test_the_letters_of_a_day_are_closed(
    app: Flask, tester: Program, session: Session, smtp: SmtpServer, work: Work
) -> None:
    tester.write("POST", "/letters", LETTER, 201)
    work()
    with time_machine.travel(utcnow() + timedelta(days=1)), app.app_context():
        jobs.run_sweep(utcnow())
    session.expire_all()
    run = session.scalars(select(Run)).one()
    assert run.state is RunState.FINISHED
    check_ledger(session, run, arrived(session))


def test_letters_per_day_and_kept_letters_are_limited(
    tester: Program, session: Session, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letter_services, "MAX_CAUGHT_LETTERS", 3)
    monkeypatch.setattr(catching, "KEPT_LETTERS", 2)
    for number in range(3):
        tester.write("POST", "/letters", LETTER | {"to": f"c{number}@example.org"}, 201)
        work()
    assert tester.refuse("POST", "/letters", LETTER)[:2] == (429, "letter_limit")
    kept = [letter["email"] for letter in tester.read_all("/test-letters")]
    assert kept == ["c1@example.org", "c2@example.org"]


def test_they_need_no_mail_server_and_ignore_limits(
    tester: Program, program: Program, user: User, work: Work, set_limits: SetLimits
) -> None:
    """The tests' mail server is not running."""
    program.write("POST", "/letters", LETTER, 201)
    work()
    set_limits(letters_per_hour=1)
    tester.write("POST", "/letters", LETTER, 201)
    tester.write("POST", "/letters", LETTER, 201)
    work()
    assert len(tester.read_all("/test-letters")) == 2


def test_the_owner_reads_them_on_a_page(tester: Program, browser: FlaskClient, work: Work) -> None:
    assert "No emails from test keys" in browser.get("/auth/api-keys/test-letters").text
    tester.write("POST", "/letters", LETTER | {"format": "html", "body": "<p>Total: {{ total }}</p>"}, 201)
    work()
    page = browser.get("/auth/api-keys/test-letters").text
    path = page.partition('href="/auth/api-keys/test-letters/')[2].partition('"')[0]
    shown = browser.get(f"/auth/api-keys/test-letters/{path}").text
    assert "Total: 12" in shown
    framed = browser.get(f"/auth/api-keys/test-letters/{path}/html")
    assert "<p>Total: 12</p>" in framed.text
    assert framed.headers["Content-Security-Policy"].startswith("sandbox;")
    source = browser.get(f"/auth/api-keys/test-letters/{path}.eml")
    assert source.data.startswith(b"Date:") or b"\nDate:" in source.data
    assert "/auth/api-keys/test-letters" in browser.get("/auth/api-keys").text
