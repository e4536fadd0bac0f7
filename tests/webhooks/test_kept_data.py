"""Keep events and calls for a while, export them without secrets, and delete them with their account."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import User, WebhookCall, WebhookEndpoint, WebhookEvent
from skymailing.retention.sweep import remove_old
from tests.auth.test_export import download_archive
from tests.support.factories import UserFactory
from tests.webhooks.conftest import SECRET, Emit, MakeEndpoint


def count(session: Session, model: type[WebhookCall] | type[WebhookEvent]) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def test_old_events_are_removed_with_their_calls(
    app: Flask, session: Session, user: User, make_endpoint: MakeEndpoint, emit: Emit
) -> None:
    make_endpoint(user)
    emit(user, {"n": 1}, {"n": 2})
    first = session.scalars(select(WebhookEvent.id).order_by(WebhookEvent.id)).first()
    old = utcnow() - timedelta(days=31)
    session.execute(update(WebhookEvent).where(WebhookEvent.id == first).values(at=old))

    with app.app_context():
        removed = remove_old(utcnow()).removed

    assert removed == {"webhook_events": 1}
    assert (count(session, WebhookEvent), count(session, WebhookCall)) == (1, 1)


@pytest.mark.one_engine
def test_the_export_has_endpoints_and_calls_but_no_secret(
    session: Session, user: User, browser: FlaskClient, make_endpoint: MakeEndpoint, emit: Emit
) -> None:
    mine, other = make_endpoint(user), make_endpoint(other_owner := UserFactory.create())
    other.url = "https://other.example/"
    session.flush()
    emit(user, {"n": 1})
    emit(other_owner, {"n": 2})

    archive = download_archive(browser)
    files = {name: archive.read(name).decode() for name in archive.namelist()}

    assert mine.url in files["webhooks.json"]
    assert len(files["webhook-calls.csv"].strip().splitlines()) == 2
    everything = "".join(files.values())
    assert other.url not in everything
    stored = session.scalars(select(WebhookEndpoint.encrypted_secret)).all()
    assert not any(secret in everything for secret in (SECRET, *stored))
