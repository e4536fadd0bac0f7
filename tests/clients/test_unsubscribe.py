"""Test unsubscribing through the link in a letter."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Consent, ConsentKind, OptOut, Suppression, SuppressionReason, User
from skymailing.tokens import unsubscribe_token
from tests.support.factories import ClientFactory, SuppressionFactory, UserFactory

ADDRESS = "anna.petrova@example.com"


@pytest.fixture
def token(app: Flask, user: User) -> str:
    with app.app_context():
        return unsubscribe_token(user.id, ADDRESS)


def list_suppressions(session: Session) -> list[tuple[int, str, SuppressionReason]]:
    session.expire_all()
    return [(row.owner_id, row.email_key, row.reason) for row in session.scalars(select(Suppression))]


def test_opening_the_link_asks_for_confirmation_and_changes_nothing(
    visitor: FlaskClient, session: Session, token: str
) -> None:
    page = visitor.get(f"/u/{token}", headers={"Accept-Language": "en"}).text
    assert "a***@example.com" in page
    assert "petrova" not in page
    assert "Unsubscribe</button>" in page
    assert list_suppressions(session) == []


@pytest.mark.parametrize("data", [{}, {"List-Unsubscribe": "One-Click"}])
def test_a_post_request_unsubscribes_and_can_be_repeated(
    app: Flask,
    session: Session,
    user: User,
    token: str,
    data: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    visitor = app.test_client()
    for _attempt in range(2):
        response = visitor.post(f"/u/{token}", data=data, headers={"Accept-Language": "en"})
        assert response.status_code == 200
        assert "You are unsubscribed" in response.text
    assert list_suppressions(session) == [(user.id, ADDRESS, SuppressionReason.UNSUBSCRIBED)]
    assert "You are unsubscribed" in visitor.get(f"/u/{token}", headers={"Accept-Language": "en"}).text


def test_an_earlier_complaint_remains_the_reason(
    visitor: FlaskClient, session: Session, user: User, token: str
) -> None:
    SuppressionFactory.create(owner_id=user.id, email_key=ADDRESS, reason=SuppressionReason.COMPLAINED)
    visitor.post(f"/u/{token}")
    assert list_suppressions(session) == [(user.id, ADDRESS, SuppressionReason.COMPLAINED)]


def test_other_senders_are_not_affected(
    visitor: FlaskClient, session: Session, user: User, token: str
) -> None:
    UserFactory.create()
    visitor.post(f"/u/{token}")
    assert [row[0] for row in list_suppressions(session)] == [user.id]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("change", [lambda token: "x", lambda token: token[:-3], lambda token: "A" + token])
def test_a_damaged_link_shows_a_friendly_page(
    visitor: FlaskClient, session: Session, token: str, method: str, change: Callable[[str], str]
) -> None:
    response = getattr(visitor, method)(f"/u/{change(token)}", headers={"Accept-Language": "en"})
    assert response.status_code == 404
    assert "This link does not work" in response.text
    assert list_suppressions(session) == []


def test_a_link_from_a_deleted_sender_confirms_the_unsubscription(
    visitor: FlaskClient, session: Session, user: User, token: str
) -> None:
    session.delete(user)
    session.flush()
    for response in (visitor.get(f"/u/{token}"), visitor.post(f"/u/{token}")):
        assert response.status_code == 200
        assert "You are unsubscribed" in response.text


def test_an_unsubscription_replaces_the_owners_suppression(
    visitor: FlaskClient, browser: FlaskClient, session: Session, user: User, token: str
) -> None:
    client = ClientFactory.create(owner=user, email=ADDRESS)
    browser.post(f"/clients/{client.id}/suppress")

    visitor.post(f"/u/{token}")
    browser.post(f"/clients/{client.id}/suppress")

    assert browser.post(f"/clients/{client.id}/allow").status_code == 403
    assert list_suppressions(session) == [(user.id, ADDRESS, SuppressionReason.UNSUBSCRIBED)]


def test_unsubscribing_and_its_undo_are_recorded(visitor: FlaskClient, session: Session, token: str) -> None:
    for _attempt in range(2):
        visitor.post(f"/u/{token}")
    consents = select(Consent).order_by(Consent.id)
    (withdrawn,) = session.scalars(consents)
    assert (withdrawn.kind, withdrawn.email_key) == (ConsentKind.WITHDRAWN, ADDRESS)
    visitor.post(f"/u/{token}/undo", data={"opt_out": session.scalars(select(OptOut.id)).one()})
    _withdrawn, resumed = session.scalars(consents)
    assert (resumed.kind, resumed.ip) == (ConsentKind.RESUMED, "127.0.0.1")
    assert resumed.agent.startswith("Werkzeug")
