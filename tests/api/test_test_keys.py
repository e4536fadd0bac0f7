"""Test that mailings and letters of test keys pass through the whole engine, but never leave the service."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.delivery import catching, due
from skymailing.delivery.smtp.session import Letter as SmtpLetter
from skymailing.extensions import db
from skymailing.mailings import caught
from skymailing.mailings.queries import find_default_tracking
from skymailing.models import (
    Attempt,
    CaughtLetter,
    Delivery,
    Mailing,
    MailingKind,
    MailingState,
    Reputation,
    Run,
    RunState,
    Suppression,
    SuppressionReason,
    UsageHour,
    User,
)
from tests.api.conftest import LETTER, Program, arrived
from tests.delivery.ledger import check_ledger, count_states
from tests.delivery.worker import Worker, read_journals
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory
from tests.support.servers import SmtpServer

Work = Callable[[], None]


def values(user: User, **more: Any) -> dict[str, Any]:
    """Return a mailing that is due."""
    message = MessageFactory.create(owner=user, subject="News", body="Dear {{ name }}, {{ unsubscribe_url }}")
    ends_at = (utcnow() + timedelta(days=1)).isoformat()
    return {"name": "News", "message_id": message.id, "audience": "all", "ends_at": ends_at} | more


def make_clients(user: User, count: int = 3) -> None:
    for number in range(count):
        ClientFactory.create(owner=user, email=f"c{number}@example.org", full_name=f"Client {number}")


def start(tester: Program, user: User, **more: Any) -> Any:
    return tester.write("POST", "/mailings", values(user, **more), 201)


def test_a_mailing_is_caught_and_each_letter_can_be_read(
    tester: Program, session: Session, user: User, smtp: SmtpServer, work: Work
) -> None:
    make_clients(user)
    session.add(
        Suppression(owner_id=user.id, email_key="c0@example.org", reason=SuppressionReason.UNSUBSCRIBED)
    )
    session.flush()
    started = start(tester, user)
    assert (started["state"], started["test"]) == ("running", True)
    work()
    path = f"/mailings/{started['id']}"
    assert tester.read(path)["state"] == "finished"
    (run,) = tester.read_all(f"{path}/runs")
    assert (run["state"], run["planned"], run["test"]) == ("finished", 3, True)
    assert (run["counts"]["sent"], run["counts"]["suppressed"]) == (2, 1)
    attempts = tester.read_all(f"/runs/{run['id']}/attempts")
    assert [(attempt["code"], attempt["answer"]) for attempt in attempts] == [(250, "caught, not sent")] * 2
    caught_letters = tester.read_all("/test-letters")
    assert [letter["email"] for letter in caught_letters] == ["c1@example.org", "c2@example.org"]
    assert caught_letters[0]["subject"] == "News"
    source = tester.read(f"/test-letters/{caught_letters[0]['id']}")["source"]
    assert "List-Unsubscribe:" in source
    assert "Dear Client 1" in source
    assert smtp.letters == []
    check_ledger(session, session.scalars(select(Run)).one(), arrived(session))


def test_a_letter_is_caught(tester: Program, session: Session, smtp: SmtpServer, work: Work) -> None:
    sent = tester.write("POST", "/letters", LETTER, 201)
    assert (sent["state"], sent["test"]) == ("pending", True)
    work()
    found = tester.read(f"/letters/{sent['id']}")
    assert found["state"] == "sent"
    assert [attempt["answer"] for attempt in found["attempts"]] == ["caught, not sent"]
    (letter,) = tester.read_all("/test-letters")
    assert (letter["email"], letter["delivery_id"]) == ("anna@example.org", sent["id"])
    assert "Total: 12" in tester.read(f"/test-letters/{letter['id']}")["source"]
    assert smtp.letters == []
    assert session.scalars(select(Run)).one().state is RunState.CAUGHT_LETTERS


def test_letters_of_test_keys_are_not_counted(
    app: Flask, tester: Program, session: Session, user: User, browser: FlaskClient, work: Work
) -> None:
    """Tests are not in logs, reports, limits, lists, the client's page or segments of recipients."""
    client_id = ClientFactory.create(owner=user, email="anna@example.org").id
    start(tester, user)
    tester.write("POST", "/letters", LETTER, 201)
    work()
    assert {attempt.owner_id for attempt in session.scalars(select(Attempt))} == {0}
    assert session.scalars(select(UsageHour).where(UsageHour.kind.in_(("letters", "accepted")))).all() == []
    today = utcnow().date()
    report = tester.read(f"/report?since={today}&until={today}")
    assert not any(report["totals"].values()), report["totals"]
    assert report["mailings"] == []
    for path in ("/logs/", "/letters/", "/mailings/", f"/clients/{client_id}"):
        page = browser.get(path, follow_redirects=True).text
        assert "caught" not in page, path
        assert "Order" not in page, path
        assert ">News<" not in page, path
    conditions = {"all": [{"field": "mailing", "op": "received", "value": {"days": 30}}]}
    counted = tester.write("POST", "/segments/count", {"conditions": conditions})
    assert counted["count"] == 0


def test_live_mailings_cannot_be_started(
    tester: Program, program: Program, session: Session, user: User
) -> None:
    make_clients(user)
    draft = program.write("POST", "/mailings", values(user, draft=True), 201)
    refused = (403, "test_key_cannot_send")
    assert tester.refuse("POST", f"/mailings/{draft['id']}/start")[:2] == refused
    assert tester.refuse("PATCH", f"/mailings/{draft['id']}", {"draft": False})[:2] == (403, "test_key")
    paused = MailingFactory.create(owner=user, state=MailingState.PAUSED)
    assert tester.refuse("POST", f"/mailings/{paused.id}/resume")[:2] == refused
    assert session.scalars(select(Run)).all() == []
    assert [mailing["id"] for mailing in tester.read_all("/mailings")] == []


def test_a_test_does_not_end_a_pause_for_bounces(tester: Program, session: Session, user: User) -> None:
    make_clients(user)
    path = f"/mailings/{start(tester, user)['id']}"
    reason = "too-many-bounces: 20/100"
    session.add(Reputation(owner_id=user.id, paused_at=utcnow(), pause_reason=reason, is_notice_due=False))
    session.flush()
    tester.write("POST", f"{path}/pause")
    assert tester.write("POST", f"{path}/resume")["state"] == "running"
    session.expire_all()
    assert session.get_one(Reputation, user.id).paused_at is not None


def test_a_draft_is_changed_started_paused_resumed_and_deleted(
    tester: Program, program: Program, session: Session, user: User, smtp: SmtpServer, work: Work
) -> None:
    make_clients(user)
    more = {"starts_at": (utcnow() + timedelta(hours=5)).isoformat(), "periodicity": "daily"}
    draft = start(tester, user, draft=True, **more)
    path = f"/mailings/{draft['id']}"
    tester.write("PATCH", path, {"name": "Trial"})
    started = tester.write("POST", f"{path}/start")
    assert (started["state"], started["next_run_at"]) == ("running", None)
    assert tester.write("POST", f"{path}/pause")["state"] == "paused"
    work()
    assert session.scalar(select(func.count()).select_from(CaughtLetter)) == 0
    assert tester.refuse("DELETE", path)[:2] == (409, "mailing_has_runs")
    assert tester.write("POST", f"{path}/resume")["state"] == "running"
    work()
    assert tester.read(path)["state"] == "finished"
    assert tester.write("POST", f"{path}/start")["state"] == "finished"  # a repeated request
    assert tester.refuse("PATCH", path, {"name": "Late"})[:2] == (409, "mailing_caught_started")
    assert len(tester.read_all(f"{path}/runs")) == 1
    assert [mailing["id"] for mailing in program.read_all("/mailings")] == []
    assert tester.send("DELETE", path).status_code == 204
    assert session.scalar(select(func.count()).select_from(CaughtLetter)) == 0
    assert smtp.letters == []


def test_the_size_and_number_of_mailings_are_limited(
    tester: Program, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clients(user)
    monkeypatch.setattr(caught, "MAX_CLIENTS", 2)
    assert tester.refuse("POST", "/mailings", values(user))[:2] == (409, "mailing_caught_too_large")
    monkeypatch.setattr(caught, "MAX_MAILINGS", 1)
    start(tester, user, draft=True)
    assert tester.refuse("POST", "/mailings", values(user, draft=True))[:2] == (409, "mailing_caught_limit")


def test_a_killed_worker_catches_nothing_twice(
    app: Flask, tester: Program, session: Session, user: User, work: Work
) -> None:
    make_clients(user)
    started = start(tester, user)
    run = session.scalars(select(Run)).one()
    worker = Worker(app, run.id)
    worker.claim()
    with app.app_context():
        letters = [
            SmtpLetter(id, 1, "c@example.org", b"Subject: first\r\n\r\nx")
            for id in session.scalars(select(Delivery.id))
        ]
        catching.store(user.id, letters, utcnow())
    worker.die()
    read_journals(app)
    assert count_states(session, run) == {"pending": 3}
    work()
    session.expire_all()
    assert [letter.subject for letter in session.scalars(select(CaughtLetter))] == ["News"] * 3
    assert tester.read(f"/mailings/{started['id']}")["state"] == "finished"


def test_an_older_version_cannot_send_mailings_of_test_keys(
    app: Flask, tester: Program, session: Session, user: User
) -> None:
    """An older version sends only runs in the states that it knows, and plans only scheduled mailings."""
    make_clients(user)
    start(tester, user)
    tester.write("POST", "/letters", LETTER, 201)
    known = {"planned", "sending", "routed", "tested", "transactional", "finished", "cancelled", "skipped"}
    assert not known & {run.state.value for run in session.scalars(select(Run))}
    for change in ({"state": MailingState.SCHEDULED}, {"next_run_at": utcnow()}):
        mailing = update(Mailing).where(Mailing.kind == MailingKind.CAUGHT).values(change)
        with app.app_context(), pytest.raises(IntegrityError), db.engine.begin() as connection:
            connection.execute(mailing)


def test_they_do_not_affect_the_defaults_of_new_mailings(
    app: Flask, tester: Program, user: User, browser: FlaskClient
) -> None:
    MailingFactory.create(owner=user, track_clicks=True)
    make_clients(user)
    mailing = start(tester, user)
    tester.write("POST", "/letters", LETTER, 201)
    with app.app_context():
        assert find_default_tracking(user.id)["track_clicks"] is True
    assert browser.get(f"/mailings/{mailing['id']}").status_code == 404


def test_they_do_not_count_as_mailings_in_progress(
    app: Flask, tester: Program, session: Session, user: User
) -> None:
    make_clients(user)
    start(tester, user)
    with app.app_context():
        (run,) = session.scalars(select(Run))
        assert due.find_runs(utcnow()) == [(user.id, run.id)]
        assert due.find_runs(utcnow(), within_limits=False) == []


def test_everything_is_removed_after_a_week(
    app: Flask, tester: Program, session: Session, user: User, work: Work
) -> None:
    make_clients(user)
    start(tester, user)
    start(tester, user, draft=True)
    tester.write("POST", "/letters", LETTER, 201)
    work()
    for days in (1, 9, 9):
        with time_machine.travel(utcnow() + timedelta(days=days)), app.app_context():
            jobs.run_sweep(utcnow())
    session.expire_all()
    for model in (CaughtLetter, Run, Delivery, Attempt):
        assert session.scalar(select(func.count()).select_from(model)) == 0, model
    assert {mailing.kind for mailing in session.scalars(select(Mailing))} == {MailingKind.CAUGHT_LETTERS}
