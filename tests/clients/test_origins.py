"""Test that a client's page says how the client was added."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from skymailing.models import Client, ClientImport, Origin, SignupForm, User
from tests.clients.test_deletion import delete
from tests.clients.test_timeline import read_events
from tests.support.factories import ClientFactory
from tests.support.imports import import_file
from tests.support.signup_factories import SignupFormFactory

Work = Callable[[], None]


def find(session: Session, email: str) -> Client:
    session.expire_all()
    return session.scalars(select(Client).where(Client.email_key == email)).one()


def read_origin(browser: FlaskClient, client: Client) -> str:
    """Return the sentence of the event, without its time."""
    return read_events(browser, client)[-1].rpartition(" ")[0]


def test_an_imported_client_names_the_file(
    browser: FlaskClient, session: Session, user: User, work: Work
) -> None:
    known = ClientFactory.create(owner=user, email="old@x.com", origin=Origin.HAND)
    import_file(browser, b"email\nanna@x.com\nold@x.com\n", "autumn.csv")
    work()
    anna = find(session, "anna@x.com")
    assert read_origin(browser, anna).startswith("Imported from “autumn.csv”")
    assert "Added by hand" in read_origin(browser, known), "an update does not change it"
    session.execute(update(ClientImport).values(created_at=anna.created_at + timedelta(days=1)))
    session.commit()
    assert "Imported from a file" in read_origin(browser, anna), "a later import has the reused ID"


def test_a_client_who_signed_up_names_the_form(browser: FlaskClient, session: Session, user: User) -> None:
    form: SignupForm = SignupFormFactory.create(owner=user, name="Footer")
    anna = ClientFactory.create(owner=user, origin=Origin.FORM, origin_id=form.id)
    assert "Signed up through the form “Footer”" in read_origin(browser, anna)
    session.delete(form)
    session.commit()
    assert "Signed up through a form" in read_origin(browser, anna)


def test_the_form_of_another_owner_is_not_named(browser: FlaskClient, user: User) -> None:
    form: SignupForm = SignupFormFactory.create(name="Secret")
    anna = ClientFactory.create(owner=user, origin=Origin.FORM, origin_id=form.id)
    assert "Signed up through a form" in read_origin(browser, anna)


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin.HAND, "Added by hand"),
        (Origin.PROGRAM, "Added by a program (API)"),
        (None, "Added to your clients"),  # by an earlier version
    ],
)
def test_other_clients_say_how_they_were_added(
    browser: FlaskClient, user: User, origin: Origin | None, text: str
) -> None:
    assert text in read_origin(browser, ClientFactory.create(owner=user, origin=origin))


def test_a_client_added_on_the_page_was_added_by_hand(browser: FlaskClient, session: Session) -> None:
    browser.post("/clients/new", data={"email": "anna@x.com"})
    assert find(session, "anna@x.com").origin == Origin.HAND


def test_a_restored_client_keeps_the_origin(browser: FlaskClient, session: Session, user: User) -> None:
    form: SignupForm = SignupFormFactory.create(owner=user)
    anna = ClientFactory.create(owner=user, email="anna@x.com", origin=Origin.FORM, origin_id=form.id)
    browser.post(delete(browser, anna))
    restored = find(session, "anna@x.com")
    assert (restored.origin, restored.origin_id) == (Origin.FORM, form.id)
