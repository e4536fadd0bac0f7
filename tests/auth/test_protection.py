"""What stands between accounts and the rest of the world: CSRF tokens, throttling, even answers."""

import re
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.extensions import db, limiter
from skymailing.models import User
from tests.factories import PASSWORD


@pytest.fixture
def make_app(environment: dict[str, str], session: Session) -> Iterator:
    """Return a function that makes another app on the same servers with some settings changed."""
    apps: list[Flask] = []

    def make(**settings: object) -> Flask:
        config = TestingConfig(environment)
        for name, value in settings.items():
            setattr(config, name, value)
        apps.append(create_app(config))
        return apps[-1]

    yield make
    limiter.enabled = False  # the extension is shared with the suite's app
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def guarded(make_app) -> FlaskClient:
    """A browser before an app that asks for CSRF tokens."""
    return make_app(WTF_CSRF_ENABLED=True).test_client()


@pytest.fixture
def throttled(make_app) -> Flask:
    return make_app(RATELIMIT_ENABLED=True)


def token_in(page: str) -> str:
    return re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]


def test_login_without_csrf_token_is_refused(guarded: FlaskClient, user: User) -> None:
    data = {"email": user.email, "password": PASSWORD}
    assert guarded.post("/auth/login", data=data).status_code == 400
    data["csrf_token"] = token_in(guarded.get("/auth/login").text)
    assert guarded.post("/auth/login", data=data).status_code == 302


def test_logout_without_csrf_token_is_refused(guarded: FlaskClient, user: User) -> None:
    data = {"email": user.email, "password": PASSWORD}
    guarded.post("/auth/login", data=data | {"csrf_token": token_in(guarded.get("/auth/login").text)})
    assert guarded.post("/auth/logout").status_code == 400
    page = guarded.get("/auth/profile")
    assert page.status_code == 200
    assert guarded.post("/auth/logout", data={"csrf_token": token_in(page.text)}).status_code == 302
    assert guarded.get("/auth/profile").status_code == 302


@pytest.mark.parametrize(
    "path", ["/auth/register", "/auth/reset", "/auth/resend", "/auth/verify/x", "/auth/reset/x"]
)
def test_no_form_is_taken_without_csrf_token(guarded: FlaskClient, path: str) -> None:
    assert guarded.post(path).status_code == 400


def test_guessing_is_stopped(throttled: Flask, user: User) -> None:
    browser = throttled.test_client()
    codes = [
        browser.post("/auth/login", data={"email": user.email, "password": f"guess {n}"}).status_code
        for n in range(11)
    ]
    assert codes == [200] * 10 + [429]
    answer = browser.post("/auth/login", data={"email": user.email, "password": PASSWORD})
    assert answer.status_code == 429
    assert "Too many tries" in answer.text


def test_guessing_does_not_lock_the_victim_out(throttled: Flask, user: User) -> None:
    attacker, victim = throttled.test_client(), throttled.test_client()
    for n in range(12):
        attacker.post("/auth/login", data={"email": user.email, "password": f"guess {n}"})
    victims_place = {"REMOTE_ADDR": "192.0.2.7"}
    answer = victim.post(
        "/auth/login", data={"email": user.email, "password": PASSWORD}, environ_overrides=victims_place
    )
    assert answer.status_code == 302


def test_signing_in_rightly_counts_for_nothing(throttled: Flask, user: User) -> None:
    for _ in range(12):
        browser = throttled.test_client()
        data = {"email": user.email, "password": PASSWORD}
        assert browser.post("/auth/login", data=data).status_code == 302


@pytest.mark.parametrize("path", ["/auth/register", "/auth/reset"])
def test_letters_to_one_address_are_throttled(throttled: Flask, user: User, path: str) -> None:
    data = {"email": user.email, "password": "three odd words", "password_confirm": "three odd words"}
    codes = [throttled.test_client().post(path, data=data).status_code for _ in range(6)]
    assert codes == [302] * 5 + [429]


@pytest.mark.parametrize("path", ["/auth/register", "/auth/reset"])
def test_answer_takes_its_time_for_known_and_unknown_addresses(make_app, user: User, path: str) -> None:
    browser = make_app(EVEN_ANSWER_TIME=0.3).test_client()
    for email in (user.email, "nobody@example.com"):
        started = time.monotonic()
        data = {"email": email, "password": "three odd words", "password_confirm": "three odd words"}
        assert browser.post(path, data=data).status_code == 302
        assert 0.3 <= time.monotonic() - started < 0.6


@pytest.mark.parametrize("scheme", ["redis+unix:///nowhere/redis.sock", "redis://127.0.0.1:1"])
def test_people_sign_in_while_redis_is_away(make_app, user: User, scheme: str) -> None:
    app = make_app(RATELIMIT_ENABLED=True, RATELIMIT_STORAGE_URI=scheme)
    answer = app.test_client().post("/auth/login", data={"email": user.email, "password": PASSWORD})
    assert answer.status_code == 302
