"""Test deleting clients and undoing the deletion within an hour."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import undo
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import (
    Audience,
    AuditAction,
    AuditEntry,
    Client,
    Delivery,
    DeliveryState,
    MailingState,
    Removal,
    Run,
    Tag,
    User,
    client_tags,
    mailing_clients,
)
from tests.clients.pages import find_undo_url
from tests.clients.selections import list_selected
from tests.conftest import SignIn
from tests.support.factories import (
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    UserFactory,
    create_clients,
    create_run,
)


def delete(browser: FlaskClient, *clients: Client) -> str:
    """Delete clients from the list; return the URL of the undo button."""
    data = {"action": "delete", "ids": [client.id for client in clients], "confirmed": "1"}
    return find_undo_url(browser.post("/clients/bulk", data=data, follow_redirects=True).text)


def test_restored_clients_keep_all_their_values(browser: FlaskClient, user: User, session: Session) -> None:
    anna = ClientFactory.create(
        owner=user, email="Anna@example.org", full_name="Анна", comment="loyal", attributes={"city": "Тула"}
    )
    boris = ClientFactory.create(owner=user)
    values = (anna.email, anna.email_key, anna.full_name, anna.comment, anna.attributes, anna.created_at)
    tags = [Tag(owner_id=user.id, name=name, name_key=name) for name in ("new", "vip")]
    session.add_all(tags)
    session.flush()
    session.execute(client_tags.insert(), [{"tag_id": tag.id, "client_id": anna.id} for tag in tags])
    url = delete(browser, anna, boris)
    session.delete(tags[0])  # its clients come back with it
    assert session.scalar(select(func.count(Client.id))) == 0

    page = browser.post(url, follow_redirects=True)

    assert "2 clients restored" in page.text
    restored = session.scalars(select(Client).where(Client.full_name == "Анна")).one()
    assert (
        restored.email,
        restored.email_key,
        restored.full_name,
        restored.comment,
        restored.attributes,
        restored.created_at,
    ) == values
    statement = select(Tag.name).join(client_tags).where(client_tags.c.client_id == restored.id)
    assert sorted(session.scalars(statement)) == ["new", "vip"]
    audited = session.scalars(
        select(AuditEntry.target).where(AuditEntry.action == AuditAction.CLIENT_RESTORED)
    )
    assert sorted(audited) == sorted([values[0], boris.email])


def test_restored_clients_are_selected_again_in_unfinished_mailings(
    browser: FlaskClient, user: User, session: Session
) -> None:
    client, other = create_clients(user, 2)
    unfinished = MailingFactory.create(owner=user, audience=Audience.SELECTED, state=MailingState.SCHEDULED)
    finished = MailingFactory.create(owner=user, audience=Audience.SELECTED, state=MailingState.FINISHED)
    for mailing in (unfinished, finished):
        for member in (client, other):
            session.execute(mailing_clients.insert().values(mailing_id=mailing.id, client_id=member.id))
    browser.post(delete(browser, client))
    assert list_selected(session, unfinished.id) == sorted([client.email, other.email])
    assert list_selected(session, finished.id) == [other.email]


def test_cancelled_letters_stay_cancelled(browser: FlaskClient, user: User, session: Session) -> None:
    client = ClientFactory.create(owner=user)
    mailing = MailingFactory.create(owner=user, state=MailingState.PAUSED)
    run = create_run(mailing, {DeliveryState.PENDING: 1})
    letter = session.scalars(select(Delivery).where(Delivery.run_id == run.id)).one()
    letter.client_id = client.id
    session.flush()
    page = browser.post(delete(browser, client), follow_redirects=True)
    session.refresh(letter)
    assert letter.state is DeliveryState.CANCELLED
    assert "will not be sent" in page.text


def test_a_client_that_was_added_again_is_not_overwritten(
    browser: FlaskClient, user: User, session: Session
) -> None:
    old = ClientFactory.create(owner=user, email="anna@example.org", full_name="Old")
    url = delete(browser, old)
    browser.post("/clients/new", data={"email": "ANNA@example.org", "full_name": "New"})
    assert "0 clients restored" in browser.post(url, follow_redirects=True).text
    assert session.scalars(select(Client.full_name)).all() == ["New"]


def test_restored_clients_have_their_letters_again(
    browser: FlaskClient, user: User, session: Session
) -> None:
    """Otherwise, segments would count them among those who did not receive a mailing."""
    anna, boris, vera = (ClientFactory.create(owner=user, email=f"{name}@x.com") for name in ("a", "b", "v"))
    first, second = (RunFactory.create(mailing=MailingFactory.create(owner=user)) for _ in range(2))
    for run, client in ((first, anna), (second, anna), (first, boris), (first, vera), (second, vera)):
        DeliveryFactory.create(run=run, client=client, state=DeliveryState.SENT)
    first_id, second_id = first.id, second.id
    url = delete(browser, anna, boris, vera)
    session.expunge_all()  # SQLite gives the IDs of deleted clients to new ones
    assert set(session.scalars(select(Delivery.client_id))) == {None}
    # Boris has been added again. Vera's address now belongs to a client who also got the first mailing.
    browser.post("/clients/new", data={"email": "b@x.com"})
    browser.post("/clients/new", data={"email": "n@x.com"})
    namesake = session.scalars(select(Client).where(Client.email == "n@x.com")).one()
    run = session.get_one(Run, first_id)
    DeliveryFactory.create(run=run, client=namesake, state=DeliveryState.SENT)
    browser.post(f"/clients/{namesake.id}/edit", data={"email": "v@x.com"})
    assert "1 client restored" in browser.post(url, follow_redirects=True).text

    session.expire_all()
    letters = select(Client.email, Delivery.run_id).join(Delivery, Delivery.client_id == Client.id)
    assert sorted(session.execute(letters).tuples()) == [
        ("a@x.com", first_id),
        ("a@x.com", second_id),
        ("b@x.com", first_id),
        ("v@x.com", first_id),
        ("v@x.com", second_id),
    ]
    anna = session.scalars(select(Client).where(Client.email == "a@x.com")).one()
    assert 'data-kind="letter"' in browser.get(f"/clients/{anna.id}").text


def test_a_deletion_can_be_undone_only_once(browser: FlaskClient, user: User, session: Session) -> None:
    url = delete(browser, ClientFactory.create(owner=user))
    assert browser.post(url).status_code == 302
    assert browser.post(url).status_code == 404
    assert session.scalar(select(func.count(Client.id))) == 1


def test_another_user_cannot_undo_a_deletion(browser: FlaskClient, user: User, sign_in: SignIn) -> None:
    url = delete(browser, ClientFactory.create(owner=user))
    assert sign_in(UserFactory.create()).post(url).status_code == 404


@pytest.mark.parametrize(("minutes", "status"), [(59, 302), (61, 404)])
def test_a_deletion_can_be_undone_for_an_hour(
    browser: FlaskClient, user: User, session: Session, minutes: int, status: int
) -> None:
    url = delete(browser, ClientFactory.create(owner=user))
    with time_machine.travel(utcnow() + timedelta(minutes=minutes), tick=False):
        assert browser.post(url).status_code == status


def test_the_sweep_deletes_expired_undo_records(
    app: Flask, browser: FlaskClient, user: User, session: Session
) -> None:
    delete(browser, ClientFactory.create(owner=user))
    with app.app_context():
        undo.delete_expired(utcnow() + timedelta(minutes=59))
        assert session.scalar(select(func.count(Removal.id))) == 1
        undo.delete_expired(utcnow() + timedelta(minutes=61))
        db.session.commit()
    assert session.scalar(select(func.count(Removal.id))) == 0
