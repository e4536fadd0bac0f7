"""Test passkeys: adding and removing them, signing in, and attempts to forge an answer."""

import html
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import OutboxLetter, Passkey, User
from skymailing.tokens import RESET, account_token
from tests.auth.authenticator import App
from tests.auth.software_passkey import Device
from tests.conftest import SignIn
from tests.support.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.one_engine

PAGE = "/auth/profile/passkeys"
SITE = "http://localhost"


@pytest.fixture(autouse=True)
def domain(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the site on localhost, where browsers offer passkeys, as they do at domains with HTTPS."""
    monkeypatch.setitem(app.config, "PUBLIC_URL", SITE)


def get(browser: FlaskClient, path: str) -> str:
    return browser.get(path, base_url=SITE).text


def post(browser: FlaskClient, path: str, **data: str) -> Any:
    return browser.post(path, data=data, base_url=SITE)


def read_options(page: str) -> dict[str, Any]:
    found = re.search(r'data-options="([^"]+)"', page)
    assert found is not None, page
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


def add(browser: FlaskClient, device: Device, **code: str) -> Any:
    response = post(browser, PAGE, current_password=PASSWORD, **code)
    assert response.location == f"{PAGE}/new", response.text
    options = read_options(get(browser, response.location))
    return post(browser, response.location, name="Laptop", credential=device.create(options))


def ask(visitor: FlaskClient) -> dict[str, Any]:
    options: dict[str, Any] = json.loads(post(visitor, "/auth/login/passkey/challenge").text)
    return options


def enter(visitor: FlaskClient, credential: str, **more: str) -> Any:
    return post(visitor, "/auth/login/passkey", credential=credential, **more)


def is_signed_in(browser: FlaskClient) -> bool:
    return browser.get("/auth/profile", base_url=SITE).status_code == 200


def count(session: Session) -> int:
    session.expire_all()
    return len(session.scalars(select(Passkey)).all())


@pytest.fixture
def device(browser: FlaskClient) -> Device:
    """Return a device with a passkey of `user`."""
    device = Device()
    assert add(browser, device).location == PAGE
    return device


@pytest.mark.both_engines
def test_a_passkey_signs_in_without_the_password(
    visitor: FlaskClient, session: Session, user: User, device: Device
) -> None:
    response = enter(visitor, device.sign(ask(visitor)))
    assert response.location == "/"
    assert is_signed_in(visitor)
    passkey = session.scalars(select(Passkey)).one()
    assert (passkey.user_id, passkey.name, passkey.sign_count) == (user.id, "Laptop", 1)
    assert passkey.used_at is not None


def test_signing_in_with_a_passkey_leads_to_the_requested_page(visitor: FlaskClient, device: Device) -> None:
    credential = device.sign(ask(visitor))
    assert post(visitor, "/auth/login/passkey?next=/clients/", credential=credential).location == "/clients/"


def test_a_passkey_replaces_the_code_as_well(
    browser: FlaskClient, visitor: FlaskClient, device: Device
) -> None:
    App(browser)
    enter(visitor, device.sign(ask(visitor)))
    assert is_signed_in(visitor)


def test_adding_a_passkey_needs_the_password_and_a_code(browser: FlaskClient, session: Session) -> None:
    with time_machine.travel(utcnow() + timedelta(hours=1), tick=False) as clock:
        app = App(browser)
        clock.shift(60)
        assert post(browser, PAGE, current_password=PASSWORD, code="000000").status_code == 200
        assert post(browser, PAGE, current_password="wrong", code=app.code()).status_code == 200
        assert post(browser, f"{PAGE}/new", name="x", credential=Device().create(OPTIONS)).location == PAGE
        assert count(session) == 0
        clock.shift(60)
        assert add(browser, Device(), code=app.code()).location == PAGE
        assert count(session) == 1


OPTIONS = {"rp": {"id": "localhost"}, "rpId": "localhost", "challenge": "AAAA"}


def test_the_owner_is_notified(browser: FlaskClient, session: Session, device: Device) -> None:
    passkey = session.scalars(select(Passkey)).one()
    assert post(browser, f"{PAGE}/{passkey.id}/delete").location == PAGE
    letters = session.scalars(
        select(OutboxLetter).where(OutboxLetter.template == "passkey-changed").order_by(OutboxLetter.id)
    ).all()
    assert [letter.params for letter in letters] == [
        {"is_added": True, "name": "Laptop"},
        {"is_added": False, "name": "Laptop"},
    ]


def test_a_removed_passkey_does_not_sign_in(
    browser: FlaskClient, visitor: FlaskClient, session: Session, device: Device
) -> None:
    post(browser, f"{PAGE}/{session.scalars(select(Passkey.id)).one()}/delete")
    response = enter(visitor, device.sign(ask(visitor)))
    assert response.location == "/auth/login"
    assert "has been removed" in get(visitor, "/auth/login")
    assert not is_signed_in(visitor)


def test_an_answer_signs_in_only_once(app: Flask, visitor: FlaskClient, device: Device) -> None:
    options = ask(visitor)
    stolen = visitor.get_cookie("session", domain="localhost")
    credential = device.sign(options)
    enter(visitor, credential)
    thief = app.test_client()
    assert stolen is not None
    thief.set_cookie("session", stolen.value, domain="localhost")
    enter(thief, credential)
    assert not is_signed_in(thief)


@pytest.mark.parametrize(
    "change",
    [
        lambda device: setattr(device, "origin", "http://localhost.evil"),
        lambda device: setattr(device, "checks_user", False),
        lambda device: setattr(device, "key", Device().key),
    ],
    ids=["another site", "no user verification", "another key"],
)
def test_a_forged_answer_is_refused(
    visitor: FlaskClient, device: Device, change: Callable[[Device], None]
) -> None:
    change(device)
    enter(visitor, device.sign(ask(visitor)))
    assert not is_signed_in(visitor)


def test_a_copied_key_with_an_old_counter_is_refused(visitor: FlaskClient, device: Device) -> None:
    device.count = 5
    enter(visitor, device.sign(ask(visitor)))
    assert is_signed_in(visitor)
    visitor.post("/auth/logout", base_url=SITE)
    device.count = 3
    enter(visitor, device.sign(ask(visitor)))
    assert not is_signed_in(visitor)


def test_an_answer_to_another_challenge_is_refused(visitor: FlaskClient, device: Device) -> None:
    first = ask(visitor)
    ask(visitor)
    enter(visitor, device.sign(first))
    assert not is_signed_in(visitor)


def test_a_late_answer_is_refused(visitor: FlaskClient, device: Device) -> None:
    now = utcnow()
    with time_machine.travel(now, tick=False) as clock:
        options = ask(visitor)
        clock.shift(301)
        enter(visitor, device.sign(options))
    assert not is_signed_in(visitor)


def test_a_blocked_user_is_not_signed_in(
    visitor: FlaskClient, session: Session, user: User, device: Device
) -> None:
    user.blocked_at = utcnow()
    session.commit()
    assert enter(visitor, device.sign(ask(visitor))).status_code == 403
    assert not is_signed_in(visitor)


def test_a_user_whose_account_is_being_deleted_is_not_signed_in(
    visitor: FlaskClient, session: Session, user: User, device: Device
) -> None:
    user.confirmed_at, user.erasure_began_at = None, utcnow()
    session.commit()
    assert enter(visitor, device.sign(ask(visitor))).location == "/auth/login"
    assert "has been removed" in get(visitor, "/auth/login")
    assert not is_signed_in(visitor)


@pytest.mark.parametrize("has_passkey", [True, False])
def test_after_a_password_reset_users_are_reminded_of_passkeys(
    app: Flask, visitor: FlaskClient, session: Session, user: User, device: Device, has_passkey: bool
) -> None:
    """A thief who knew the old password may have added a passkey."""
    if not has_passkey:
        session.delete(session.scalars(select(Passkey)).one())
        session.commit()
    with app.app_context():
        token = account_token(RESET, user)
    data = {"password": "a new long password", "password_confirm": "a new long password"}
    post(visitor, f"/auth/reset/{token}", **data)
    page = get(visitor, "/auth/login")
    assert "has been saved" in page
    assert ("passkeys and connected accounts still sign in" in page) == has_passkey


def test_a_passkey_belongs_to_one_account(
    browser: FlaskClient, sign_in: SignIn, session: Session, device: Device
) -> None:
    other = UserFactory.create()
    session.commit()
    theirs = sign_in(other)
    assert "already been added" in add(theirs, device).text
    passkey_id = session.scalars(select(Passkey.id)).one()
    assert post(theirs, f"{PAGE}/{passkey_id}/delete").status_code == 404
    assert count(session) == 1


@pytest.mark.parametrize("url", ["http://sky.example", "https://192.0.2.1", "http://127.0.0.1:5000"])
def test_passkeys_are_offered_only_where_browsers_allow_them(
    app: Flask, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setitem(app.config, "PUBLIC_URL", url)
    assert "need a domain name and HTTPS" in browser.get(PAGE).text
    assert "data-passkey" not in app.test_client().get("/auth/login", base_url=url).text
    assert app.test_client().post("/auth/login/passkey/challenge", base_url=url).status_code == 409


@pytest.mark.parametrize("url", ["https://sky.example", "https://Sky.Example", "https://sky.example:443"])
def test_passkeys_are_offered_at_a_domain(app: Flask, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setitem(app.config, "PUBLIC_URL", url)
    assert "data-passkey" in app.test_client().get("/auth/login", base_url="https://sky.example").text
    assert "data-passkey" not in app.test_client().get("/auth/login", base_url="https://other.example").text


def test_passkeys_are_offered_on_localhost(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "PUBLIC_URL", "http://localhost:5000")
    assert "data-passkey" in app.test_client().get("/auth/login", base_url="http://localhost:5000").text
    assert "data-passkey" not in app.test_client().get("/auth/login", base_url="http://127.0.0.1:5000").text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("AAAA"),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=8), values, max_size=3),
    max_leaves=8,
)
PARTS = ["id", "rawId", "type", "response"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(part=st.sampled_from(PARTS), value=JSON, field=st.sampled_from(["clientDataJSON", "signature", "x"]))
def test_a_malformed_answer_is_refused(
    visitor: FlaskClient, device: Device, part: str, value: object, field: str
) -> None:
    answer = json.loads(device.sign(ask(visitor)))
    answer[part] = value if part != "response" else {**answer["response"], field: value, "signature": "AAAA"}
    if part == "type" and value == "public-key":
        return
    enter(visitor, json.dumps(answer))
    assert not is_signed_in(visitor) or part == "rawId"
    for text in ("", "[]", "{", "null", json.dumps(value), "[" * 5_000):
        enter(visitor, text)
