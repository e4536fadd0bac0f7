"""Test that a run keeps and sends the message as composed when the run was planned."""

import json
import logging

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.models import Brand, MailingVariant, Message, MessageFormat, Run, RunVariant, User
from tests.delivery.composition.designs import make_design
from tests.support.factories import ClientFactory, MessageFactory, due_mailing

DESIGN = make_design({"type": "button", "text": "Buy", "url": "https://a.example/"})


def make_message(user: User, **values: object) -> Message:
    defaults = {"source_format": "blocks", "source": json.dumps(DESIGN), "source_version": 1}
    return MessageFactory.create(
        owner=user, format=MessageFormat.HTML, body="<p>Stored</p>", language="en", **defaults | values
    )


def start(app: Flask, session: Session, mailing_id: int) -> Run:
    session.commit()
    with app.app_context():
        plan.start_due_run(mailing_id, utcnow())
    session.expire_all()
    return session.scalars(select(Run)).one()


def test_a_run_has_the_current_brand_and_keeps_it(app: Flask, session: Session, user: User) -> None:
    session.add(Brand(owner_id=user.id, color="#7a2e8e"))
    ClientFactory.create(owner=user)
    mailing = due_mailing(user, message=make_message(user, preheader="Dear {{ name }}"))

    run = start(app, session, mailing.id)
    assert "background:#7a2e8e" in run.body
    assert run.format is MessageFormat.HTML
    assert "Dear {{ name }}&zwnj;" in run.body

    session.get_one(Brand, user.id).color = "#c0392b"
    assert "background:#7a2e8e" in start(app, session, mailing.id).body


@pytest.mark.parametrize(
    "values",
    [
        {"source_version": 0},  # an earlier version has changed the body
        {"source_version": None},
        {"source_format": "later"},
        {"source": '{"version": 99}'},
        {"source": "["},
    ],
)
def test_a_run_sends_the_stored_body_without_a_usable_source(
    app: Flask, session: Session, user: User, values: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    ClientFactory.create(owner=user)
    mailing = due_mailing(user, message=make_message(user, **values))

    with caplog.at_level(logging.CRITICAL):
        assert start(app, session, mailing.id).body == "<p>Stored</p>"


def test_variants_are_also_composed_again(app: Flask, session: Session, user: User) -> None:
    for _ in range(4):
        ClientFactory.create(owner=user)
    session.add(Brand(owner_id=user.id, color="#7a2e8e"))
    test = {"sample_percent": 50, "test_hours": 1, "winner_by": "clicks", "track_clicks": True}
    mailing = due_mailing(user, message=make_message(user), **test)
    other = make_message(user, source=json.dumps(make_design({"type": "heading", "text": "Other"})))
    session.add(MailingVariant(mailing_id=mailing.id, number=2, message_id=other.id))

    start(app, session, mailing.id)

    first, second = session.scalars(select(RunVariant).order_by(RunVariant.number))
    assert "background:#7a2e8e" in first.body
    assert "Other</h1>" in second.body
