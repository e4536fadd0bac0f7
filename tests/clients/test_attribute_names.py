"""Test that an export knows all attributes without reading all clients."""

from datetime import datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from skymailing.clients.exports import export_rows
from skymailing.clients.search import attribute_names
from skymailing.clients.search.tasks import update_index
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import AttributeName, Client, User
from tests.support.factories import ClientFactory, UserFactory
from tests.support.statements import record_statements

pytestmark = pytest.mark.both_engines
STANDARD = 5  # columns


def list_columns(app: Flask, user: User) -> list[str]:
    with app.app_context():
        header, *_rows = export_rows(user.id)
        return list(header[STANDARD:])


def index_clients(app: Flask, at: datetime | None = None) -> None:
    with app.app_context(), time_machine.travel(at or utcnow()):
        while update_index(lambda _elapsed: True):
            pass


@pytest.fixture
def clients(app: Flask, session: Session, user: User) -> list[Client]:
    """Create clients of the user and of someone else, and index them."""
    clients = [
        ClientFactory.create(owner=user, attributes=attributes)
        for attributes in ({"city": "Омск", '"it\'s" 100%': "1"}, {"phone": "", "city": "Тула"}, {})
    ]
    ClientFactory.create(owner=UserFactory.create(), attributes={"secret": "1"})
    index_clients(app)
    return clients


def test_the_columns_are_known_before_and_after_indexing(
    app: Flask, session: Session, user: User, clients: list[Client]
) -> None:
    assert list_columns(app, user) == ['"it\'s" 100%', "city", "phone"]
    clients[2].attributes = {"new": "1"}
    session.flush()
    assert list_columns(app, user) == ['"it\'s" 100%', "city", "new", "phone"]
    index_clients(app)
    assert list_columns(app, user) == ['"it\'s" 100%', "city", "new", "phone"]


def test_an_export_does_not_read_all_clients_for_its_columns(
    app: Flask, user: User, clients: list[Client]
) -> None:
    with app.app_context(), record_statements() as statements:
        attribute_names.list_names(user.id)
    assert [
        statement for statement in statements if "json" in statement and "clients_to_index" not in statement
    ] == []


def test_a_name_that_no_client_has_any_longer_is_removed_after_a_day(
    app: Flask, session: Session, user: User, clients: list[Client]
) -> None:
    clients[1].attributes = {"city": "Тула"}
    session.flush()
    index_clients(app)
    assert "phone" in list_columns(app, user)
    index_clients(app, utcnow() + timedelta(days=1, minutes=1))

    assert list_columns(app, user) == ['"it\'s" 100%', "city"]
    oldest = session.scalar(select(func.min(AttributeName.checked_at)))
    assert oldest is not None
    assert oldest > utcnow() + timedelta(hours=23), "the others are checked again in a day"


def test_a_client_who_gets_a_removed_attribute_brings_it_back(
    app: Flask, session: Session, user: User, clients: list[Client]
) -> None:
    session.execute(text("DELETE FROM attribute_names"))
    clients[0].attributes = {"city": "Омск", "phone": "+7"}
    session.flush()
    assert list_columns(app, user) == ["city", "phone"]
    index_clients(app)
    with app.app_context():
        assert attribute_names.list_names(user.id) == ["city", "phone"]
        db.session.rollback()
