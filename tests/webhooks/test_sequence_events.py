"""Report who enters sequences, is through, and leaves."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import User, WebhookEvent
from skymailing.sequences import people, services
from tests.support.factories import SuppressionFactory, create_clients
from tests.support.sequence_factories import NOON, Sequences, days
from tests.webhooks.conftest import MakeEndpoint


@pytest.fixture
def sequences(app: Flask, session: Session, user: User) -> Sequences:
    return Sequences(app, session, user)


def read(session: Session) -> list[tuple[str, Any]]:
    rows = session.execute(select(WebhookEvent.type, WebhookEvent.data).order_by(WebhookEvent.id))
    return [row._tuple() for row in rows if row.type.startswith("sequence.")]


def test_events_of_a_sequence(
    sequences: Sequences, user: User, session: Session, make_endpoint: MakeEndpoint
) -> None:
    make_endpoint(user, paused_until=utcnow() + timedelta(days=1))
    clients = create_clients(user, 4)
    sequence = sequences.create(days(0), days(1))
    sequences.add(sequence, *clients)
    sequences.add(sequence, *clients)  # no one enters
    SuppressionFactory.create(owner_id=user.id, email_key=clients[0].email_key)
    sequences.sweep(NOON)
    sequences.change_place(sequences.find(sequence, clients[1]), people.remove_client, NOON)
    sequences.change_place(sequences.find(sequence, clients[2]), people.skip_step, NOON)
    sequences.change(sequence, services.archive_sequence, NOON)
    sequences.sweep(NOON)

    found = read(session)
    assert [(name, data.get("reason")) for name, data in found] == [
        ("sequence.entered", None),
        ("sequence.left", "unreachable"),
        ("sequence.left", "removed"),
        ("sequence.finished", None),
        ("sequence.left", "archived"),
    ]
    assert all(data["sequence"] == {"id": sequence.id, "name": "Welcome"} for _name, data in found)
    lists = [[entry["email"] for entry in data["enrolments"]] for _name, data in found]
    emails = [client.email for client in clients]
    assert lists == [emails, [emails[0]], [emails[1]], [emails[2]], [emails[3]]]


def test_many_clients_share_an_event(
    sequences: Sequences, user: User, session: Session, make_endpoint: MakeEndpoint
) -> None:
    make_endpoint(user, paused_until=utcnow() + timedelta(days=1))
    sequence = sequences.create(days(0))
    sequences.add(sequence, *create_clients(user, 501))
    sequences.sweep(NOON)
    assert [(name, len(data["enrolments"])) for name, data in read(session)] == [
        ("sequence.entered", 500),
        ("sequence.entered", 1),
        ("sequence.finished", 500),
        ("sequence.finished", 1),
    ]


def test_owners_who_do_not_want_them_get_none(sequences: Sequences, user: User, session: Session) -> None:
    sequence = sequences.create(days(0))
    sequences.add(sequence, *create_clients(user, 2))
    sequences.sweep(NOON)
    assert session.scalar(select(func.count()).select_from(WebhookEvent)) == 0
