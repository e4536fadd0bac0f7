"""Test deleting a mailing: the confirmation, the history that is kept, and restoring the mailing."""

from datetime import time, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    Audience,
    AuditAction,
    AuditEntry,
    DeliveryState,
    Mailing,
    MailingState,
    OnLate,
    Periodicity,
    User,
    mailing_clients,
)
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import MailingFactory, create_clients, create_run


def read_values(mailing: Mailing) -> dict[str, Any]:
    names = (column.key for column in inspect(Mailing).column_attrs)
    return {name: getattr(mailing, name) for name in names if name not in ("id", "updated_at")}


@pytest.mark.parametrize("state", [MailingState.DRAFT, MailingState.SCHEDULED])
def test_a_restored_mailing_keeps_its_times_and_clients(
    browser: FlaskClient, user: User, session: Session, state: MailingState
) -> None:
    start = utcnow() + timedelta(days=2)
    mailing = MailingFactory.create(
        owner=user,
        state=state,
        audience=Audience.SELECTED,
        starts_at=start,
        ends_at=start + timedelta(days=30),
        next_run_at=start if state is MailingState.SCHEDULED else None,
        periodicity=Periodicity.WEEKLY,
        on_late=OnLate.SKIP,
        weekdays="12345",
        opens_at=time(9),
        closes_at=time(18, 30),
    )
    clients = {client.id for client in create_clients(user, 3)}
    for client_id in clients:
        session.execute(mailing_clients.insert().values(mailing_id=mailing.id, client_id=client_id))
    before = read_values(mailing)

    page = browser.post(f"/mailings/{mailing.id}/delete", follow_redirects=True)
    assert session.scalars(select(Mailing)).all() == []
    response = browser.post(str(soup(page).select(".flash form")[0]["action"]))

    session.expire_all()
    restored = session.scalars(select(Mailing)).one()
    assert response.location == f"/mailings/{restored.id}"
    assert read_values(restored) == before
    assert set(session.scalars(select(mailing_clients.c.client_id))) == clients
    actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions[-2:] == [AuditAction.MAILING_DELETED, AuditAction.MAILING_RESTORED]


def test_a_mailing_without_its_message_cannot_be_restored(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = MailingFactory.create(owner=user)
    message_id = mailing.message_id
    page = browser.post(f"/mailings/{mailing.id}/delete", follow_redirects=True)
    browser.post(f"/messages/{message_id}/delete")
    response = browser.post(str(soup(page).select(".flash form")[0]["action"]), follow_redirects=True)
    assert "because its message has been deleted" in get_main_text(response)
    assert session.scalars(select(Mailing)).all() == []


def test_a_mailing_without_runs_is_deleted_after_confirmation(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = MailingFactory.create(owner=user)
    mailing_id = mailing.id
    assert mailing.name in browser.get(f"/mailings/{mailing_id}/delete").text
    assert session.scalar(select(Mailing.id)) == mailing_id
    assert browser.post(f"/mailings/{mailing_id}/delete").location == "/mailings/"
    assert session.scalar(select(Mailing.id)) is None


def test_a_mailing_that_has_run_keeps_its_history(browser: FlaskClient, user: User, session: Session) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.PAUSED)
    create_run(mailing, {DeliveryState.SENT: 1})
    page = browser.post(f"/mailings/{mailing.id}/delete").text
    assert "must be kept" in page
    assert f"/mailings/{mailing.id}/cancel" in page
    assert session.scalar(select(Mailing.id)) == mailing.id
