"""Test that details of old runs are removed in small batches while totals remain on every page."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.mailings import resending
from skymailing.mailings.errors import MailingError
from skymailing.mailings.queries import count_runs
from skymailing.models import (
    Attempt,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Outcome,
    Role,
    Run,
    RunFile,
    RunState,
    User,
)
from skymailing.retention import batches, details, sweep
from tests.conftest import SignIn
from tests.support.factories import (
    AttemptFactory,
    DeliveryFactory,
    MailingFactory,
    MessageFactory,
    RunFactory,
    UserFactory,
)
from tests.support.files import attach

DAYS = 90
COUNTS = {DeliveryState.SENT: 5, DeliveryState.FAILED: 2, DeliveryState.UNKNOWN: 1}


@pytest.fixture
def retention(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep details for DAYS."""
    monkeypatch.setitem(app.config, "RETENTION", replace(app.config["RETENTION"], run_details=DAYS))


def create_old_run(owner: User, days: float, state: RunState = RunState.FINISHED, **values: object) -> Run:
    """Create a run that ended `days` days ago, with letters and an attempt for each."""
    ended_at = utcnow() - timedelta(days=days)
    mailing = MailingFactory.create(owner=owner, state=MailingState.FINISHED, **values)
    run: Run = RunFactory.create(
        mailing=mailing,
        scheduled_for=ended_at,
        finished_at=ended_at,
        state=state,
        planned=sum(COUNTS.values()),
    )
    for delivery_state, count in COUNTS.items():
        for _ in range(count):
            delivery = DeliveryFactory.create(run=run, state=delivery_state, finished_at=ended_at, attempts=1)
            outcome = Outcome(delivery_state.value)
            code, reply = (250, "ok") if outcome is Outcome.SENT else (550, "5.1.1 no such user")
            AttemptFactory.create(delivery=delivery, at=ended_at, outcome=outcome, code=code, answer=reply)
    return run


def count_remaining(session: Session, run: Run) -> tuple[int, int]:
    letters = session.scalar(select(func.count()).where(Delivery.run_id == run.id))
    attempts = session.scalar(select(func.count()).where(Attempt.run_id == run.id))
    return letters or 0, attempts or 0


def read_reports(browser: FlaskClient) -> tuple[str, str, str]:
    since = f"{utcnow() - timedelta(days=300):%Y-%m-%d}"
    table = browser.get(f"/reports/report.csv?since={since}").text
    assert '"5","2","1"' in table
    return get_text(browser, f"/reports/?since={since}"), table, get_text(browser, "/mailings/")


def get_text(browser: FlaskClient, path: str) -> str:
    return BeautifulSoup(browser.get(path).text, "html.parser").get_text(" ", strip=True)


def test_by_default_details_are_kept_forever(app: Flask, session: Session, user: User) -> None:
    run = create_old_run(user, 5000)
    with app.app_context():
        jobs.run_sweep(utcnow())
    assert count_remaining(session, run) == (8, 8)


def test_the_files_of_letters_are_removed_with_their_text(
    app: Flask, session: Session, user: User, retention: None
) -> None:
    old, recent = create_old_run(user, DAYS + 1), create_old_run(user, DAYS - 1)
    file = attach(MessageFactory.create(owner=user), b"content")
    values = {"file_id": file.file_id, "name": file.name, "content_type": file.content_type}
    session.add_all(RunFile(run_id=run.id, variant=0, position=0, **values) for run in (old, recent))
    session.flush()

    with app.app_context():
        jobs.run_sweep(utcnow())

    assert list(session.scalars(select(RunFile.run_id))) == [recent.id]


def test_details_are_removed_after_the_retention_period_but_counts_are_kept(
    app: Flask, session: Session, user: User, browser: FlaskClient, retention: None
) -> None:
    old, recent = create_old_run(user, DAYS + 1), create_old_run(user, DAYS - 1)
    before = read_reports(browser)
    with app.app_context():
        ledger = count_runs([old])[0].counts
        db.session.rollback()
        jobs.run_sweep(utcnow())

    session.refresh(old)
    session.refresh(recent)
    assert count_remaining(session, old) == (0, 0)
    assert count_remaining(session, recent) == (8, 8)
    assert (old.body, old.has_details) == ("", False)
    assert (recent.details_removed_at, bool(recent.body)) == (None, True)
    assert read_reports(browser) == before
    with app.app_context():
        (after,) = count_runs([old])
    assert after.counts == ledger
    assert after.balances
    assert after.total == old.planned == 8


@pytest.mark.parametrize("state", [RunState.PLANNED, RunState.SENDING])
def test_an_unfinished_run_keeps_its_details(
    app: Flask, session: Session, user: User, retention: None, state: RunState
) -> None:
    run = create_old_run(user, 5000, state)
    with app.app_context():
        sweep.remove_old(utcnow())
    assert count_remaining(session, run) == (8, 8)


def test_a_run_reopened_during_the_sweep_keeps_its_details(
    app: Flask, session: Session, user: User, retention: None
) -> None:
    run = create_old_run(user, DAYS + 1)
    before = utcnow() - timedelta(days=DAYS)
    with app.app_context():
        assert details._list_runs_with_details(before) == [run.id]
        run.state, run.finished_at = RunState.SENDING, None  # between the query and the removal
        session.flush()
        assert not details._mark_removed(run.id, before, utcnow())
    session.refresh(run)
    assert run.details_removed_at is None
    assert run.body


def test_a_batch_is_small_and_the_next_sweep_continues(
    app: Flask, session: Session, user: User, retention: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_old_run(user, DAYS + 1)
    monkeypatch.setattr(batches, "BATCH", 3)
    with app.app_context():
        # Allow time for the first batch only, as if the sweep had then been killed.
        monkeypatch.setattr(batches.TimeBudget, "is_used_up", property(lambda self: bool(self.removed)))
        sweep.remove_old(utcnow())
        session.refresh(run)
        assert count_remaining(session, run) == (5, 5)
        assert run.details_removed_at is not None
        assert run.has_details
        monkeypatch.undo()
        monkeypatch.setitem(app.config, "RETENTION", replace(app.config["RETENTION"], run_details=DAYS))
        sweep.remove_old(utcnow())
    session.refresh(run)
    assert count_remaining(session, run) == (0, 0)
    assert not run.has_details


def test_letters_cannot_be_resent_after_details_were_removed(
    app: Flask, session: Session, user: User, browser: FlaskClient, retention: None
) -> None:
    run = create_old_run(user, DAYS + 1, ends_at=utcnow() + timedelta(days=1))
    with app.app_context():
        sweep.remove_old(utcnow())
        with pytest.raises(MailingError):
            resending._find_run_to_resend(db.session.get_one(Mailing, run.mailing_id), utcnow())
    response = browser.post(f"/mailings/{run.mailing_id}/resend-failed", follow_redirects=True)
    assert "details of the last send were removed" in response.text


def test_pages_show_when_details_were_removed(
    app: Flask, session: Session, user: User, browser: FlaskClient, sign_in: SignIn, retention: None
) -> None:
    run = create_old_run(user, DAYS + 3)
    with app.app_context():
        sweep.remove_old(utcnow())

    notice = f"removed {DAYS + 3} days after it ended"
    manager = sign_in(UserFactory.create(role=Role.MANAGER))
    for viewer, path in ((browser, f"/mailings/runs/{run.id}"), (manager, f"/manager/runs/{run.id}/")):
        page = viewer.get(path).text
        assert notice in page
        assert "/log?" not in page
    for viewer, path in (
        (browser, f"/mailings/{run.mailing_id}/log"),
        (browser, f"/mailings/{run.mailing_id}/log?run={run.id}"),
        (browser, "/logs/"),
        (manager, f"/manager/mailings/{run.mailing_id}/log"),
    ):
        page = get_text(viewer, path)
        assert "The details were removed" in page, path
        assert "Nothing has been sent yet" not in page
    assert f"Attempts are removed {DAYS} days after" in browser.get("/logs/").text


def test_a_manager_still_sees_the_same_counts(
    app: Flask, session: Session, user: User, sign_in: SignIn, retention: None
) -> None:
    create_old_run(user, DAYS + 1)
    manager = sign_in(UserFactory.create(role=Role.MANAGER))
    before = get_text(manager, f"/manager/users/{user.id}/")
    with app.app_context():
        sweep.remove_old(utcnow())
    assert get_text(manager, f"/manager/users/{user.id}/") == before


def test_a_sweep_run_by_a_worker_removes_details(
    app: Flask, session: Session, user: User, work: Callable[[], None], retention: None
) -> None:
    from skymailing import queue

    run = create_old_run(user, DAYS + 1)
    with app.app_context():
        queue.enqueue("sweep")
    work()
    assert count_remaining(session, run) == (0, 0)
