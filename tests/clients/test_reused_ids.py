"""Test that a new client is not mistaken for a deleted client whose ID SQLite reuses."""

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Client, User
from tests.clients.test_tags import add_tags, read_tags


@pytest.mark.one_engine
def test_a_restored_tag_is_not_given_to_a_new_client_with_the_id_of_a_deleted_one(
    browser: FlaskClient, user: User, session: Session
) -> None:
    """SQLite reuses the largest ID."""
    tags = add_tags(session, user, {"vip": "ab"})
    deleted = session.scalars(select(Client).where(Client.email == "b@x.com")).one()
    session.commit()
    page = browser.post(f"/clients/tags/{tags['vip'].id}/delete", follow_redirects=True).text
    session.delete(deleted)
    session.commit()
    session.add(Client(id=deleted.id, owner_id=user.id, email="new@x.com", email_key="new@x.com"))
    session.commit()
    (undo,) = BeautifulSoup(page, "html.parser").select(".flash form")
    browser.post(str(undo["action"]))
    session.expire_all()
    assert read_tags(session) == {"a@x.com": {"vip"}}
