"""Test actions on so many clients that a worker performs them: progress, crashes, stopping, undo."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clients.bulk import services, tasks
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import (
    AuditAction,
    AuditEntry,
    BulkAction,
    BulkChunk,
    BulkJob,
    BulkState,
    Client,
    Suppression,
    SuppressionReason,
    Tag,
    User,
)
from tests.clients.bulk_jobs import (
    begin,
    count_rows,
    count_tagged,
    get_job,
    lose_worker,
    press,
    read_page,
    undo,
)
from tests.clients.conftest import Finish
from tests.conftest import SignIn
from tests.support.factories import (
    ClientFactory,
    UserFactory,
    create_clients,
)

Work = Callable[[], None]


@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_many_clients_are_changed_in_the_background_and_the_change_is_undone(
    session: Session, browser: FlaskClient, work: Work, finish: Finish
) -> None:
    manual = Suppression.reason == SuppressionReason.MANUAL
    steps: list[tuple[str, str, Callable[[], int], int, int]] = [
        ("tag", "8 clients tagged.", lambda: count_tagged(session), 0, 8),
        (
            "suppress",
            "7 clients no longer get mailings.",
            lambda: count_rows(session, Suppression, manual),
            0,
            7,
        ),
        ("delete", "8 clients deleted.", lambda: count_rows(session, Client), 8, 0),
    ]
    for action, text, counted, before, after in steps:
        page = press(browser, action, value="vip", confirmed="1", count="8")
        assert "0 of 8 clients" in page, action
        assert counted() == before
        assert "Show progress" in browser.get("/clients/").text
        work() if action == "tag" else finish()
        assert text in read_page(session, browser)
        assert counted() == after
        assert text in browser.get("/clients/").text
        assert "undoing" in undo(session, browser)
        finish()
        assert f"Undone for {abs(after - before)} clients." in read_page(session, browser)
        assert (counted(), count_rows(session, BulkChunk)) == (before, 0)
        assert "Undo" not in read_page(session, browser).split()
    entries = session.execute(select(AuditEntry.action, AuditEntry.count).order_by(AuditEntry.id)).tuples()
    assert list(entries) == [
        (AuditAction.CLIENTS_TAGGED, 8),
        (AuditAction.CLIENTS_UNTAGGED, 8),
        (AuditAction.CLIENTS_SUPPRESSED, 8),
        (AuditAction.CLIENTS_ALLOWED, 7),
        (AuditAction.CLIENTS_DELETED, 8),
        (AuditAction.CLIENTS_RESTORED, 8),
    ]


@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_an_action_that_changes_who_matches_affects_each_client_once(
    session: Session, user: User, browser: FlaskClient, finish: Finish
) -> None:
    press(browser, "tag", value="vip")
    finish()
    press(browser, "untag", value="vip", tag="vip")
    ClientFactory.create(owner=user, email="later@example.org")
    finish()
    assert (get_job(session).changed, count_tagged(session)) == (8, 0)
    undo(session, browser)
    finish()
    assert count_tagged(session) == 8
    press(browser, "suppress", status="mailable")
    ClientFactory.create(owner=user, email="last@example.org")
    finish()
    assert get_job(session).total == get_job(session).changed == 8  # not the one who unsubscribed
    press(browser, "allow")
    finish()
    assert get_job(session).changed == 8
    assert session.scalars(select(Suppression.reason)).all() == [SuppressionReason.UNSUBSCRIBED]
    undo(session, browser)
    finish()
    assert count_rows(session, Suppression) == 9


@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_the_sweep_continues_after_dead_workers_and_lost_hints(
    app: Flask, session: Session, user: User, browser: FlaskClient, work: Work
) -> None:
    press(browser, "tag", value="vip")
    begin(app, session, 1)
    assert (get_job(session).done, count_tagged(session)) == (3, 3)
    work()  # the lease is alive, so no other worker takes the job
    assert get_job(session).done == 3
    lose_worker(session)
    with app.app_context():
        jobs.run_sweep(utcnow())
    work()
    job = get_job(session)
    assert (job.state, job.done, job.changed, count_tagged(session)) == (BulkState.FINISHED, 8, 8, 8)
    undo(session, browser)
    begin(app, session, 2)
    assert (get_job(session).done, get_job(session).changed, count_tagged(session)) == (6, 2, 2)
    lose_worker(session)
    with app.app_context():
        jobs.run_sweep(utcnow())
    work()
    assert (get_job(session).state, get_job(session).changed, count_tagged(session)) == ("undone", 0, 0)
    press(browser, "delete", confirmed="1", count="8")
    session.execute(update(BulkJob).values(updated_at=utcnow() - timedelta(minutes=1)))
    with app.app_context():
        assert services.find_stalled_jobs(utcnow()) == [get_job(session).id]


@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_a_worker_that_lost_its_lease_changes_nothing(
    app: Flask, session: Session, browser: FlaskClient
) -> None:
    press(browser, "tag", value="vip")
    job_id = get_job(session).id
    with app.app_context():
        lease = tasks.acquire_lease(job_id, utcnow() - timedelta(hours=1))
        assert lease is not None
        assert tasks.acquire_lease(job_id, utcnow()) is not None
        with pytest.raises(tasks.LeaseLost):
            tasks.change_chunk(job_id, lease)
        db.session.rollback()
    assert count_tagged(session) == 0


@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_a_client_who_gets_the_id_of_a_deleted_one_is_not_deleted(
    session: Session, user: User, browser: FlaskClient, finish: Finish
) -> None:
    press(browser, "delete", confirmed="1", count="8")
    last = session.scalars(select(func.max(Client.id))).one()
    session.execute(delete(Client).where(Client.id == last))
    session.expunge_all()
    session.add(Client(id=last, owner_id=user.id, email="new@x.example", email_key="new@x.example"))
    session.flush()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(
            update(Client).where(Client.id == last).values(id=last + 1)
        )  # PostgreSQL never reuses an ID
    finish()
    assert session.scalars(select(Client.email)).all() == ["new@x.example"]


@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_a_stopped_action_keeps_its_changes_until_they_are_undone(
    app: Flask, session: Session, browser: FlaskClient, finish: Finish
) -> None:
    press(browser, "delete", confirmed="1", count="8")
    begin(app, session, 2)
    page = browser.post(f"/clients/bulk/{get_job(session).id}/stop", follow_redirects=True).text
    assert "6 clients deleted." in page
    finish()
    assert count_rows(session, Client) == 2
    assert count_rows(session, BulkChunk) == 2
    undo(session, browser)
    finish()
    assert count_rows(session, Client) == 8
    stopped = session.scalars(
        select(AuditEntry.count).where(AuditEntry.action == AuditAction.BULK_STOPPED)
    ).all()
    assert stopped == [6]
    # Stopping or undoing again changes nothing.
    browser.post(f"/clients/bulk/{get_job(session).id}/stop")
    assert "can no longer be undone" in undo(session, browser)
    assert get_job(session).state is BulkState.UNDONE


@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_an_owner_has_one_unfinished_action_at_a_time(
    session: Session, user: User, browser: FlaskClient, sign_in: SignIn, finish: Finish
) -> None:
    press(browser, "tag", value="vip")
    assert "Wait until your other action" in press(browser, "untag", value="vip")
    assert "Wait until your other action" in press(browser, "delete", confirmed="1", count="8")
    finish()
    press(browser, "suppress")
    first = session.scalars(select(BulkJob.id).order_by(BulkJob.id)).first()
    page = browser.post(f"/clients/bulk/{first}/undo", follow_redirects=True).text
    assert "Wait until your other action" in page
    with pytest.raises(IntegrityError):  # two tabs at the same time
        session.execute(
            insert(BulkJob).values(
                owner_id=user.id, action=BulkAction.ALLOW, state=BulkState.PENDING, total=1
            )
        )
    session.rollback()
    other = UserFactory.create()
    create_clients(other, 3)
    assert "0 of 3 clients" in press(sign_in(other), "suppress")


@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_a_blocked_owner_and_a_deleted_tag_end_an_action(
    app: Flask, session: Session, user: User, browser: FlaskClient, work: Work
) -> None:
    press(browser, "tag", value="vip")
    begin(app, session, 1)
    user.blocked_at = utcnow()
    session.flush()
    lose_worker(session)
    with app.app_context():
        jobs.run_sweep(utcnow())
    work()
    assert (get_job(session).state, count_tagged(session)) == (BulkState.STOPPED, 3)
    user.blocked_at = None
    session.flush()
    assert "Your account was blocked" in read_page(session, browser)
    press(browser, "untag", value="vip")
    session.execute(delete(Tag))
    work()
    assert get_job(session).state is BulkState.FAILED
    assert "The tag has been deleted" in read_page(session, browser)


@pytest.mark.one_engine
@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_the_list_shows_every_action_that_can_be_undone(browser: FlaskClient, finish: Finish) -> None:
    press(browser, "tag", value="vip")
    finish()
    press(browser, "suppress")
    finish()
    page = browser.get("/clients/").text
    assert "8 clients tagged." in page
    assert "7 clients no longer get mailings." in page
