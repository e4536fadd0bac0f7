"""Test the deletion of thousands of clients, and how long it can be undone."""

from datetime import timedelta

import pytest
import time_machine
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from skymailing.clients.bulk import services, sizes
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.extensions import db
from skymailing.models import (
    Audience,
    AuditAction,
    AuditEntry,
    BulkChunk,
    BulkJob,
    Client,
    Delivery,
    MailingState,
    User,
    mailing_clients,
)
from skymailing.retention import sweep
from tests.clients.bulk_jobs import (
    count_rows,
    get_job,
    press,
    read_page,
    undo,
)
from tests.clients.conftest import Finish
from tests.delivery.ledger import count_states, get_only_run, get_stored_counts
from tests.support.factories import (
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    due_mailing,
)

COUNT = 3_000


@pytest.fixture
def last(app: Flask, session: Session, user: User) -> int:
    """Create 3,001 clients with letters that wait in a paused mailing; return the ID of the last client."""
    names = [f"{n}@x.example" for n in range(COUNT + 1)]
    rows = [{"owner_id": user.id, "email": name, "email_key": name, "comment": "Omsk"} for name in names]
    session.execute(insert(Client), rows)
    mailing = due_mailing(user)
    with app.app_context():
        plan.start_due_run(mailing.id, utcnow())
    mailing.state = MailingState.PAUSED
    session.flush()
    return session.scalars(select(func.max(Client.id))).one()


def read_fields(page: str) -> dict[str, str]:
    inputs = BeautifulSoup(page, "html.parser").select("main input")
    return {str(field["name"]): str(field["value"]) for field in inputs}


@pytest.mark.usefixtures("last")
def test_thousands_of_clients_are_deleted_and_every_letter_is_accounted_for(
    session: Session, browser: FlaskClient, finish: Finish
) -> None:
    page = press(browser, "delete", q="x.example")
    assert "Delete 3,001 clients?" in page
    session.execute(update(Client).where(Client.email == "7@x.example").values(email_key="kept@y.example"))
    page = browser.post("/clients/bulk", data=read_fields(page)).text
    assert "Delete 3,000 clients?" in page  # the number has changed, so it is confirmed again
    browser.post("/clients/bulk", data=read_fields(page))
    finish()
    assert session.scalars(select(Client.email_key)).all() == ["kept@y.example"]
    run = get_only_run(session)
    assert count_states(session, run) == {"pending": 1, "cancelled": COUNT}
    stored = {state: number for state, number in get_stored_counts(session, run).items() if number}
    assert (run.planned, stored) == (COUNT + 1, {"cancelled": COUNT})  # open states are not stored
    entries = session.execute(select(AuditEntry.action, AuditEntry.count)).tuples().all()
    assert entries == [(AuditAction.CLIENTS_DELETED, COUNT)]
    assert count_rows(session, BulkChunk) == 3
    undo(session, browser)
    finish()
    assert count_rows(session, Client, Client.comment == "Omsk") == COUNT + 1


@pytest.mark.one_engine
def test_the_page_shows_in_how_many_mailings_the_clients_are_selected(
    session: Session, user: User, browser: FlaskClient, last: int
) -> None:
    mailing = due_mailing(user, audience=Audience.SELECTED, next_run_at=None)
    session.execute(insert(mailing_clients).values(mailing_id=mailing.id, client_id=last))
    page = press(browser, "delete")
    assert "Selected in 1 unfinished mailing" in page
    assert "and 2,991 more" in page


@pytest.mark.one_engine
@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_undo_data_is_removed_after_an_hour_and_the_result_after_a_month(
    app: Flask, session: Session, browser: FlaskClient, finish: Finish
) -> None:
    press(browser, "delete", confirmed="1", count="8")
    finish()
    with time_machine.travel(utcnow() + timedelta(minutes=61), tick=False):
        assert "Undo" not in read_page(session, browser)
        assert "can no longer be undone" in undo(session, browser)
        assert "Details and undo" not in browser.get("/clients/").text
    with app.app_context():
        for minutes, left in ((59, 3), (61, 0)):
            services.delete_expired(utcnow() + timedelta(minutes=minutes))
            db.session.commit()
            assert count_rows(session, BulkChunk) == left
        sweep.remove_old(utcnow() + timedelta(days=29))
        assert count_rows(session, BulkJob) == 1
        sweep.remove_old(utcnow() + timedelta(days=31))
    assert count_rows(session, BulkJob) == 0


@pytest.mark.parametrize("limit", ["MAX_CHARACTERS", "MAX_LETTERS"])
@pytest.mark.usefixtures("low_bulk_limits")
def test_large_clients_are_deleted_and_restored_few_at_a_time(
    session: Session,
    user: User,
    browser: FlaskClient,
    finish: Finish,
    clients: list[Client],
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
) -> None:
    run = RunFactory.create(mailing=MailingFactory.create(owner=user), planned=4)
    letters = [DeliveryFactory.create(run=run, client=client) for client in clients[:4]]
    for client in clients[:4]:
        client.attributes = {"story": "x" * 100}
    session.flush()
    monkeypatch.setattr(sizes, limit, {"MAX_CHARACTERS": 150, "MAX_LETTERS": 1}[limit])
    browser.post("/clients/bulk", data={"action": "delete", "confirmed": "1", "ids": [clients[0].id]})
    assert count_rows(session, BulkJob) == 0  # a single client is always deleted at once
    press(browser, "delete", confirmed="1", count="7")
    finish()
    stored = [len(content) for content in session.scalars(select(BulkChunk.content))]
    assert (sum(stored), get_job(session).changed) == (7, 7)
    assert len(stored) > 3  # three chunks would be enough for all of them if they were small
    assert count_rows(session, Client) == 0
    undo(session, browser)
    finish()
    session.expire_all()
    assert count_rows(session, Client) == 7
    found = select(Client.email_key).join(Delivery, Delivery.client_id == Client.id)
    assert set(session.scalars(found)) == {letter.email_key for letter in letters[1:]}
    with_letters = select(Delivery.client_id).where(Delivery.client_id.is_not(None)).limit(2)
    data = {"action": "delete", "confirmed": "1", "ids": list(session.scalars(with_letters))}
    assert "0 of 2 clients" in browser.post("/clients/bulk", data=data, follow_redirects=True).text
