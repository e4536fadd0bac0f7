"""Test that changes to clients cannot deadlock with other simultaneous changes.

The races need two open transactions, which only PostgreSQL has.
"""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from skymailing.clients import duplicates, notes
from skymailing.clients.attribute_types import learn_types
from skymailing.clients.bulk import tasks
from skymailing.clients.rows import ClientRow
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import BulkJob, Client, ClientNote, Tag, User, client_tags
from tests.clients.bulk_jobs import count_tagged, get_job, press
from tests.clients.test_tags import add_tags
from tests.support.factories import ClientFactory
from tests.support.windows import Window, make_posting_window, transaction

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_an_action_cannot_deadlock_with_the_deletion_of_its_tag(
    app: Flask, session: Session, browser: FlaskClient
) -> None:
    """Deleting a tag locks it, then the jobs that refer to it."""
    press(browser, "tag", value="vip")
    job_id = get_job(session).id

    def change() -> bool:
        with app.app_context():
            lease = tasks.acquire_lease(job_id, utcnow())
            assert lease is not None
            is_changed = tasks.change_chunk(job_id, lease) is not None
            db.session.rollback()
            return is_changed

    with transaction(app) as deleting:
        deleting.execute(select(Tag.id).with_for_update())
        window = Window(change)
        window.wait_for_lock()
        deleting.execute(select(BulkJob.id).where(BulkJob.id == job_id).with_for_update())
    assert window.finish() is True
    assert count_tagged(session) == 3


@pytest.mark.usefixtures("low_bulk_limits", "clients")
def test_an_action_reports_that_its_tag_is_being_deleted(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    tag_id = add_tags(session, user, {"vip": "a"})["vip"].id
    session.commit()
    with transaction(app) as deleting:
        deleting.execute(delete(client_tags))
        deleting.execute(delete(Tag).where(Tag.id == tag_id))
        window = Window(lambda: press(browser, "untag", value="vip"))
        window.wait_for_lock()
    assert "The tag has been deleted" in window.finish()


def test_merging_clients_cannot_deadlock_with_a_merge_of_their_tags(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    """Merging tags locks them, then inserts rows that refer to clients."""
    add_tags(session, user, {"vip": "a", "new": "b"})
    kept, removed = session.scalars(select(Client.id).order_by(Client.email_key)).all()
    session.commit()
    with transaction(app) as merging:
        merging.execute(select(Tag.id).with_for_update())
        window = Window(lambda: browser.post(f"/clients/{removed}/merge", data={"other": kept, "keep": kept}))
        window.wait_for_lock()
        merging.execute(select(Client.id).with_for_update(read=True, key_share=True))
    assert window.finish().status_code == 302
    assert session.scalars(select(Client.id)).all() == [kept]


def test_deleting_clients_cannot_deadlock_with_an_import(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    """Imports lock clients in the order of their addresses."""
    first, last = (
        ClientFactory.create(owner=user, email=email).id for email in ("z@x.example", "A.b@x.example")
    )
    session.commit()
    with transaction(app) as importing:
        importing.execute(select(Client.id).where(Client.id == last).with_for_update())
        data = {"action": "delete", "confirmed": "1", "ids": [first, last]}
        window = Window(lambda: browser.post("/clients/bulk", data=data))
        window.wait_for_lock()
        importing.execute(select(Client.id).where(Client.id == first).with_for_update())
    assert window.finish().status_code == 302
    assert session.scalars(select(Client.id)).all() == []


def test_a_client_who_is_deleted_during_the_search_for_duplicates_is_skipped(
    session: Session, user: User, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [ClientFactory.create(owner=user, full_name="Olga") for _ in range(2)]
    compare = duplicates.compare_clients

    def compare_then_delete(owner_id: int, max_groups: int) -> duplicates.Comparison:
        search = compare(owner_id, max_groups)
        assert search.groups
        session.execute(delete(Client).where(Client.id == clients[0].id))
        return search

    monkeypatch.setattr(duplicates, "compare_clients", compare_then_delete)
    response = browser.get("/clients/duplicates")
    assert response.status_code == 200
    assert "same name" not in response.text


def test_learning_types_does_not_wait_for_the_clients_of_another_batch(
    app: Flask, session: Session, user: User
) -> None:
    """The other batch may be waiting for a tag that this one has just added."""
    row = ClientRow("a@example.org", "a@example.org", "", "", "", {"price": "5"})
    values = {"owner_id": user.id, "email": "b@example.org", "email_key": "b@example.org", "full_name": ""}
    times = {"created_at": utcnow(), "updated_at": utcnow()}
    with transaction(app) as other:
        other.execute(insert(Client).values(**values, comment="", attributes={}, **times))
        with app.app_context():
            db.session.connection().exec_driver_sql("SET LOCAL lock_timeout = '1s'")
            learn_types(user.id, [row])
            db.session.commit()
    session.refresh(user)
    assert user.attribute_types == {"price": "number"}


@pytest.mark.parametrize("action", ["notes", "note"])
def test_a_note_of_a_client_who_is_being_deleted_is_not_found(
    app: Flask, session: Session, user: User, browser: FlaskClient, action: str
) -> None:
    client = ClientFactory.create(owner=user)
    note = ClientNote(owner_id=user.id, client_id=client.id, text="Called")
    session.add(note)
    session.commit()
    path = f"/clients/{client.id}/notes" if action == "notes" else f"/clients/notes/{note.id}/delete"
    with transaction(app) as deleting:
        deleting.execute(delete(Client).where(Client.id == client.id))
        window = make_posting_window(browser, path, {"text": "Called again"})
        window.wait_for_lock()
    assert window.finish().status_code == 404


def test_two_windows_cannot_add_more_notes_than_allowed(
    app: Flask, session: Session, user: User, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MAX_NOTES", 1)
    client = ClientFactory.create(owner=user)
    session.commit()
    with transaction(app) as adding:
        adding.execute(select(Client.id).where(Client.id == client.id).with_for_update())
        window = make_posting_window(browser, f"/clients/{client.id}/notes", {"text": "two"})
        window.wait_for_lock()
        values = {"owner_id": user.id, "client_id": client.id, "text": "one", "created_at": utcnow()}
        adding.execute(insert(ClientNote).values(values))
    assert "A client can have up to 1 notes." in window.finish().text


@pytest.mark.parametrize(
    "path", ["/clients/views?q=omsk", "/clients/views/delete", "/clients/views/undo?q=1&name=Omsk"]
)
def test_two_windows_that_save_at_once_lose_no_view(
    app: Flask, browser: FlaskClient, session: Session, user: User, path: str
) -> None:
    user_id, old, new = user.id, {"name": "Old", "q": "a"}, {"name": "New", "q": "b"}
    user.client_views = [old]
    session.commit()
    with transaction(app) as saving:
        saving.execute(select(User.id).where(User.id == user_id).with_for_update())
        window = make_posting_window(browser, path, {"name": "Old" if "delete" in path else "Omsk"})
        window.wait_for_lock()
        saving.execute(update(User).where(User.id == user_id).values(client_views=[old, new]))
    assert window.finish().status_code == 302
    session.refresh(user)
    names = {view["name"] for view in user.client_views or []}
    assert names == ({"New"} if "delete" in path else {"Old", "New", "Omsk"})
