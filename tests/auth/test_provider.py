"""Test sign-in with accounts at an OpenID Connect provider, and attempts to take over an account with it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from config import load_config
from skymailing.clock import utcnow
from skymailing.errors import ConfigurationError
from skymailing.models import OutboxLetter, Role, User, UserIdentity
from tests.auth.authenticator import App
from tests.auth.provider_visits import PAGE, START, configure, connect, flashes, is_signed_in, sign_in_at
from tests.conftest import SignIn
from tests.support.factories import PASSWORD, UserFactory
from tests.support.oidc_provider import CLIENT, SECRET, Provider, run_provider

pytestmark = pytest.mark.one_engine


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with run_provider() as provider:
        yield provider


@pytest.fixture
def provider(app: Flask, running: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    monkeypatch.setattr(running, "claims", dict(running.claims))
    monkeypatch.setattr(running, "changes", {})
    configure(app, monkeypatch, running, creates_users=True)
    return running


@pytest.mark.both_engines
def test_a_stranger_gets_a_confirmed_account(
    visitor: FlaskClient, session: Session, provider: Provider
) -> None:
    provider.claims["name"] = "Anna\r\nBcc: x"
    assert sign_in_at(provider, visitor, "?next=/clients/").location == "/clients/"
    assert is_signed_in(visitor)
    user = session.scalars(select(User).where(User.email == "anna@example.com")).one()
    assert (user.role, user.is_confirmed, user.trusted_at) == (Role.USER, True, None)
    assert "\n" not in user.name
    visitor.post("/auth/logout")
    sign_in_at(provider, visitor)
    assert is_signed_in(visitor)
    assert session.scalars(select(UserIdentity)).one().subject == "42"


def test_without_the_setting_no_account_is_created(
    app: Flask, visitor: FlaskClient, session: Session, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(app, monkeypatch, provider)
    assert sign_in_at(provider, visitor).location == "/auth/login"
    assert "No account is connected" in flashes(visitor)
    assert session.scalars(select(User)).all() == []


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_unverified_address_creates_nothing(
    visitor: FlaskClient, session: Session, provider: Provider, verified: object
) -> None:
    provider.claims["email_verified"] = verified
    sign_in_at(provider, visitor)
    assert "has not confirmed your email address" in flashes(visitor)
    assert session.scalars(select(User)).all() == []


@pytest.mark.parametrize("role", list(Role))
def test_an_existing_account_is_never_entered_by_address(
    visitor: FlaskClient, session: Session, provider: Provider, role: Role
) -> None:
    UserFactory.create(email="anna@example.com", role=role)
    session.commit()
    provider.claims["email"] = "Anna@Example.com"
    sign_in_at(provider, visitor)
    assert "There is already an account" in flashes(visitor)
    assert not is_signed_in(visitor)
    assert session.scalars(select(UserIdentity)).all() == []


def test_an_owner_connects_and_disconnects_an_account(
    browser: FlaskClient, visitor: FlaskClient, session: Session, user: User, provider: Provider
) -> None:
    provider.claims["email"] = "other@example.com"
    assert connect(provider, browser).location == PAGE
    assert "other@example.com" in browser.get(PAGE).text
    sign_in_at(provider, visitor)
    assert is_signed_in(visitor)
    identity = session.scalars(select(UserIdentity)).one()
    assert identity.user_id == user.id
    assert browser.post(f"{PAGE}/{identity.id}/delete").location == PAGE
    letters = session.scalars(select(OutboxLetter).where(OutboxLetter.template == "identity-changed")).all()
    assert [letter.params["is_connected"] for letter in letters] == [True, False]
    assert session.scalars(select(UserIdentity)).all() == []


def test_connecting_needs_the_password_and_the_code(
    browser: FlaskClient, session: Session, user: User, provider: Provider
) -> None:
    with time_machine.travel(utcnow() + timedelta(hours=1), tick=True) as clock:
        app = App(browser)
        clock.shift(60)
        refused = browser.post(PAGE, data={"current_password": PASSWORD, "code": "000000"})
        assert f'href="{START}"' not in refused.text
    # Without this confirmation, the person is signed in to their own account instead.
    sign_in_at(provider, browser)
    identity = session.scalars(select(UserIdentity)).one()
    assert identity.user_id != user.id
    assert app.recovery


def test_a_code_is_required_after_the_provider(
    browser: FlaskClient, visitor: FlaskClient, provider: Provider
) -> None:
    connect(provider, browser)
    app = App(browser)
    response = sign_in_at(provider, visitor, "?next=/clients/")
    assert response.location == "/auth/login/code?next=/clients/"
    assert not is_signed_in(visitor)
    visitor.post(response.location, data={"code": app.recovery[0]})
    assert is_signed_in(visitor)


def test_an_identity_belongs_to_one_account(
    browser: FlaskClient, sign_in: SignIn, session: Session, provider: Provider
) -> None:
    connect(provider, browser)
    other = UserFactory.create()
    session.commit()
    theirs = sign_in(other)
    connect(provider, theirs)
    assert "already connected" in theirs.get(PAGE).text
    identity_id = session.scalars(select(UserIdentity.id)).one()
    assert theirs.post(f"{PAGE}/{identity_id}/delete").status_code == 404


def test_a_blocked_user_is_not_signed_in(
    browser: FlaskClient, visitor: FlaskClient, session: Session, user: User, provider: Provider
) -> None:
    connect(provider, browser)
    user.blocked_at = utcnow()
    session.commit()
    assert sign_in_at(provider, visitor).status_code == 403
    assert not is_signed_in(visitor)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-program"},
        {"aud": "another-program", "azp": CLIENT},
        {"iss": "https://evil.example"},
        {"nonce": "another"},
        {"nonce": None},
        {"iss": None},
        {"aud": []},
        {"exp": 1_000_000_000},
        {"sub": ""},
        {"sub": "x" * 300},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_token_that_was_not_made_for_this_sign_in_is_refused(
    visitor: FlaskClient, session: Session, provider: Provider, changes: dict[str, object]
) -> None:
    provider.changes = changes
    assert sign_in_at(provider, visitor).location == "/auth/login"
    assert "does not work at the moment" in flashes(visitor)
    assert session.scalars(select(User)).all() == []


def test_a_return_to_another_browser_is_refused(app: Flask, visitor: FlaskClient, provider: Provider) -> None:
    start = app.test_client().get(START)
    link = provider.authorize(start.location).replace("http://sky.example", "")
    assert visitor.get(link).location == "/auth/login"
    assert not is_signed_in(visitor)


def test_a_cancelled_sign_in_is_explained(visitor: FlaskClient, provider: Provider) -> None:
    visitor.get(START)
    visitor.get(f"{START}/return?error=access_denied&state=x")
    assert "was cancelled" in flashes(visitor)


def test_an_unreachable_provider_is_explained(
    app: Flask, visitor: FlaskClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(app, monkeypatch, Provider("http://127.0.0.1:9"))
    assert visitor.get(START).location == "/auth/login"
    assert "does not work at the moment" in flashes(visitor)


def test_without_settings_the_password_is_required(app: Flask) -> None:
    visitor = app.test_client()
    assert visitor.get(START).location == visitor.get(f"{START}/return").location == "/auth/login"
    assert START not in visitor.get("/auth/login").text


@pytest.mark.parametrize(
    "changes",
    [
        {"OIDC_CLIENT_SECRET": ""},
        {"OIDC_ISSUER": "http://id.example.com"},
        {"OIDC_ISSUER": "id.example.com"},
        {"OIDC_ISSUER": "https://[id"},
    ],
)
def test_incomplete_settings_are_rejected(changes: dict[str, str], tmp_path: Any) -> None:
    environ = {"DATA_DIR": str(tmp_path), "OIDC_ISSUER": "https://id.example.com"}
    environ |= {"OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET}
    assert load_config(environ).OIDC.name == "id.example.com"
    with pytest.raises(ConfigurationError, match="OIDC_"):
        load_config(environ | changes)
