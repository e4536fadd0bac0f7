"""Test attacks by other sites and by visitors, and a misbehaving provider."""

import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from skymailing.auth.views import provider_session
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import User, UserIdentity
from tests.auth.provider_visits import START, configure, connect, flashes, is_signed_in, sign_in_at
from tests.support.factories import UserFactory
from tests.support.oidc_provider import Provider, run_provider

pytestmark = pytest.mark.one_engine

FAILED = "does not work at the moment"


@pytest.fixture
def provider(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with run_provider() as provider:
        configure(app, monkeypatch, provider, creates_users=True)
        yield provider


def count_identities(session: Session) -> int:
    session.expire_all()
    return len(session.scalars(select(UserIdentity)).all())


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
def test_redirects_of_the_provider_are_not_followed(
    visitor: FlaskClient, session: Session, provider: Provider, path: str
) -> None:
    provider.redirects[path] = f"{provider.url}/internal"
    assert try_to_sign_in(provider, visitor).location == "/auth/login"
    assert FAILED in flashes(visitor)
    assert "/internal" not in provider.requested
    assert path in provider.requested
    assert count_identities(session) == 0


def try_to_sign_in(provider: Provider, visitor: FlaskClient) -> Any:
    start = visitor.get(START)
    if start.location == "/auth/login":
        return start
    return visitor.get(provider.authorize(start.location).replace("http://sky.example", ""))


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
def test_endless_answers_of_the_provider_are_not_read(
    visitor: FlaskClient, session: Session, provider: Provider, path: str
) -> None:
    provider.padding[path] = 600_000
    try_to_sign_in(provider, visitor)
    assert FAILED in flashes(visitor)
    provider.padding[path] = 100_000
    try_to_sign_in(provider, visitor)
    assert is_signed_in(visitor)


def test_slow_answers_of_the_provider_are_abandoned(
    visitor: FlaskClient, session: Session, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_session, "ANSWER_SECONDS", -1)
    try_to_sign_in(provider, visitor)
    assert FAILED in flashes(visitor)


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://id.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": ""},
    ],
    ids=lambda description: next(iter(description)),
)
def test_invalid_metadata_are_refused_and_requested_again(
    visitor: FlaskClient, session: Session, provider: Provider, description: dict[str, str]
) -> None:
    provider.description = description
    assert visitor.get(START).location == "/auth/login"
    assert FAILED in flashes(visitor)
    provider.description = {}
    sign_in_at(provider, visitor)
    assert is_signed_in(visitor)


def test_a_key_withdrawn_by_the_provider_works_for_at_most_an_hour(
    visitor: FlaskClient, session: Session, provider: Provider
) -> None:
    with time_machine.travel(utcnow(), tick=True) as clock:
        sign_in_at(provider, visitor)
        visitor.post("/auth/logout")
        provider.published = RSAKey.generate_key(2048, {"kid": "1"}, private=True)
        clock.shift(timedelta(minutes=61))
        sign_in_at(provider, visitor)
        assert not is_signed_in(visitor)
        assert FAILED in flashes(visitor)


@pytest.mark.both_engines
def test_other_connections_can_write_while_the_provider_responds(
    app: Flask, browser: FlaskClient, visitor: FlaskClient, session: Session, user: User, provider: Provider
) -> None:
    """On SQLite, a transaction that has read data cannot write once another connection has written."""

    def write() -> None:
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(update(User).values(name="changed by another"))

    provider.before_tokens = write
    connect(provider, browser)
    assert count_identities(session) == 1
    assert session.get_one(User, user.id).name == "changed by another"
    sign_in_at(provider, visitor)
    assert is_signed_in(visitor)


def test_metadata_cannot_change_settings(visitor: FlaskClient, session: Session, provider: Provider) -> None:
    proxy = {"http": "http://127.0.0.1:9", "https": "http://127.0.0.1:9"}
    provider.description = {"proxies": proxy, "verify": False, "code_challenge_method": None, "scope": "x"}
    start = visitor.get(START)
    assert "scope=openid" in start.location
    visitor.get(provider.authorize(start.location).replace("http://sky.example", ""))
    assert is_signed_in(visitor)


def test_a_link_on_another_site_signs_no_one_in(visitor: FlaskClient, provider: Provider) -> None:
    for site in ("cross-site", "same-site"):
        response = visitor.get(f"{START}?next=/clients/", headers={"Sec-Fetch-Site": site})
        assert response.location == "/auth/login?next=/clients/"
    for site in ("same-origin", "none"):
        assert "/authorize?" in visitor.get(START, headers={"Sec-Fetch-Site": site}).location


def test_a_long_url_of_the_requested_page_does_not_exceed_the_cookie(
    visitor: FlaskClient, provider: Provider
) -> None:
    wanted = f"/clients/?q={secrets.token_hex(2500)}"
    start = visitor.get(f"{START}?next={wanted}")
    assert len(start.headers["Set-Cookie"]) < 4000
    assert visitor.get(provider.authorize(start.location).replace("http://sky.example", "")).location == "/"
    assert is_signed_in(visitor)


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x"]
)
def test_sign_in_never_redirects_to_another_site(
    visitor: FlaskClient, provider: Provider, target: str
) -> None:
    start = visitor.get(START, query_string={"next": target})
    assert visitor.get(provider.authorize(start.location).replace("http://sky.example", "")).location == "/"


def test_unusual_characters_from_the_provider_are_harmless(
    visitor: FlaskClient, session: Session, provider: Provider
) -> None:
    provider.claims["name"] = "An\0na \ud800"
    sign_in_at(provider, visitor)
    assert is_signed_in(visitor)
    assert session.scalars(select(User.name)).one() == "Anna"
    visitor.post("/auth/logout")
    provider.claims |= {"sub": "4\x002", "email": "b\0\ud800@example.com"}
    sign_in_at(provider, visitor)
    assert FAILED in flashes(visitor)


def test_a_user_whose_account_is_being_deleted_is_not_signed_in(
    browser: FlaskClient, visitor: FlaskClient, session: Session, user: User, provider: Provider
) -> None:
    connect(provider, browser)
    user.confirmed_at, user.erasure_began_at = None, utcnow()
    session.commit()
    assert sign_in_at(provider, visitor).location == "/auth/login"
    assert "No account is connected" in flashes(visitor)
    assert session.scalars(select(User)).all() == [user]


def test_connecting_ends_with_the_session(
    browser: FlaskClient, session: Session, user: User, provider: Provider
) -> None:
    """Another person who signs in on the same device must not get the account of the previous user."""
    browser.post("/auth/profile/sign-in-accounts", data={"current_password": "correct horse battery"})
    start = browser.get(START)
    browser.post("/auth/logout")
    other = UserFactory.create()
    session.commit()
    browser.post("/auth/login", data={"email": other.email, "password": "correct horse battery"})
    browser.get(provider.authorize(start.location).replace("http://sky.example", ""))
    assert count_identities(session) == 0
