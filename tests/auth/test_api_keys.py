"""The page of API keys: create, show once, list and revoke them."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.api import keys
from skymailing.api.scopes import Scope
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import ApiKey, AuditAction, AuditEntry, User
from tests.auth.authenticator import App
from tests.support.api_factories import ApiKeyFactory

PAGE = "/auth/api-keys"
KEY = re.compile(r"sky_(?:live|test)_[A-Za-z0-9]{27}")


def create(browser: FlaskClient, **form: object) -> str:
    response = browser.post(PAGE, data={"name": "Shop"} | form)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    (secret,) = KEY.findall(response.text)
    return str(secret)


def use(app: Flask, secret: str) -> int:
    headers = {"Authorization": f"Bearer {secret}"}
    return app.test_client().get("/api/v1/clients", headers=headers).status_code


def test_a_key_is_shown_once_and_works(
    app: Flask, browser: FlaskClient, session: Session, user: User
) -> None:
    secret = create(browser)
    assert secret.startswith("sky_live_")
    assert use(app, secret) == 200
    page = browser.get(PAGE).text
    assert secret not in page
    assert secret[:13] in page
    key = session.scalars(select(ApiKey)).one()
    assert (key.owner_id, key.name, key.scopes, key.expires_at) == (user.id, "Shop", [], None)
    assert secret not in str(vars(key))
    (entry,) = session.scalars(select(AuditEntry))
    assert (entry.action, entry.target, entry.actor_id) == (AuditAction.API_KEY_CREATED, "Shop", user.id)


def test_a_key_has_the_chosen_scopes_kind_and_expiry(browser: FlaskClient, session: Session) -> None:
    form = {"scopes": ["mailings:read", "clients:read"], "kind": "test", "expiry": "30"}
    assert create(browser, **form).startswith("sky_test_")
    key = session.scalars(select(ApiKey)).one()
    assert key.scopes == ["clients:read", "mailings:read"]
    assert key.expires_at is not None
    assert timedelta(days=29) < key.expires_at - utcnow() <= timedelta(days=30)


def test_choosing_all_scopes_stores_none(browser: FlaskClient, session: Session) -> None:
    create(browser, scopes=[scope.value for scope in Scope])
    assert session.scalars(select(ApiKey)).one().scopes == []


@pytest.mark.parametrize("form", [{"name": ""}, {"name": "x" * 101}, {"scopes": "root"}, {"kind": "gold"}])
def test_invalid_values_create_nothing(browser: FlaskClient, session: Session, form: dict[str, str]) -> None:
    response = browser.post(PAGE, data={"name": "Shop"} | form)
    assert KEY.findall(response.text) == []
    assert session.scalars(select(ApiKey)).all() == []


def test_a_revoked_key_stops_working_immediately(app: Flask, browser: FlaskClient, session: Session) -> None:
    secret = create(browser)
    key = session.scalars(select(ApiKey)).one()
    assert "stop working" in browser.get(f"{PAGE}/{key.id}/revoke").text
    assert use(app, secret) == 200
    assert browser.post(f"{PAGE}/{key.id}/revoke").status_code == 302
    assert use(app, secret) == 401
    actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions == [AuditAction.API_KEY_CREATED, AuditAction.API_KEY_REVOKED]
    assert "revoked" in browser.get(PAGE).text


def test_the_page_shows_the_last_use(app: Flask, browser: FlaskClient, session: Session) -> None:
    secret = create(browser)
    assert "Not used yet" in browser.get(PAGE).text
    use(app, secret)
    assert "Last used" in browser.get(PAGE).text


def test_with_two_factor_authentication_a_key_needs_a_code(browser: FlaskClient, session: Session) -> None:
    phone = App(browser)
    assert KEY.findall(browser.post(PAGE, data={"name": "Shop"}).text) == []
    assert KEY.findall(browser.post(PAGE, data={"name": "Shop", "code": "000000"}).text) == []
    assert session.scalars(select(ApiKey)).all() == []
    create(browser, code=phone.code(1))
    assert len(session.scalars(select(ApiKey)).all()) == 1


def test_the_number_of_keys_is_limited(browser: FlaskClient, session: Session, user: User) -> None:
    ApiKeyFactory.create_many(keys.MAX_KEYS, owner=user)
    response = browser.post(PAGE, data={"name": "Shop"})
    assert "You can have up to 50 API keys" in response.text
    session.scalars(select(ApiKey)).all()[0].revoked_at = utcnow()
    session.flush()
    create(browser)


def test_keys_that_became_invalid_long_ago_are_deleted(app: Flask, session: Session, user: User) -> None:
    now = utcnow()
    ApiKeyFactory.create(owner=user, name="old", revoked_at=now - keys.KEPT - timedelta(days=1))
    ApiKeyFactory.create(owner=user, name="expired", expires_at=now - keys.KEPT - timedelta(days=1))
    ApiKeyFactory.create(owner=user, name="recent", revoked_at=now)
    ApiKeyFactory.create(owner=user, name="used")
    with app.app_context():
        keys.delete_old(now)
        db.session.commit()
    assert set(session.scalars(select(ApiKey.name))) == {"recent", "used"}
