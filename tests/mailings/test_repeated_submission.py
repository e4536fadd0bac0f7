"""Test that resubmitting a form creates another mailing only if something in it has changed."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Mailing, User
from tests.mailings.pages import get_value, mailing_fields
from tests.support.factories import ClientFactory, MessageFactory


def read_opened_at(browser: FlaskClient) -> str:
    return get_value(browser.get("/mailings/new"), "opened_at")


def test_a_form_submitted_twice_creates_one_mailing(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    fields = mailing_fields(message, opened_at=read_opened_at(browser))

    first, second = (browser.post("/mailings/new", data=fields) for _ in range(2))

    mailing = session.scalars(select(Mailing)).one()
    assert first.location == second.location == f"/mailings/{mailing.id}"
    browser.post("/mailings/new", data=fields | {"opened_at": read_opened_at(browser)})
    assert len(session.scalars(select(Mailing)).all()) == 2


@pytest.mark.parametrize(
    "changes", [{"name": "Another"}, {"periodicity": "daily"}, {"draft": "1"}, {"opened_at": "x"}]
)
def test_resubmitting_a_changed_form_creates_another_mailing(
    browser: FlaskClient, session: Session, user: User, changes: dict[str, str]
) -> None:
    fields = mailing_fields(MessageFactory.create(owner=user), opened_at=read_opened_at(browser))

    browser.post("/mailings/new", data=fields)
    browser.post("/mailings/new", data=fields | changes)

    assert len(session.scalars(select(Mailing)).all()) == 2


def test_resubmitting_a_form_for_other_clients_creates_another_mailing(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    chosen = [ClientFactory.create(owner=user).id for _ in range(2)]
    fields = mailing_fields(message, audience="selected", opened_at=read_opened_at(browser))

    for client_id in (*chosen, chosen[0]):
        browser.post("/mailings/new", data=fields | {"clients": [client_id]})

    assert len(session.scalars(select(Mailing)).all()) == 2
