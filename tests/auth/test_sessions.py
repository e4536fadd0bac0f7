"""List signed-in devices, end their sessions, and send letters about new devices."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.auth.devices import mask_address, name_device
from skymailing.clock import utcnow
from skymailing.models import KnownDevice, OutboxLetter, User, UserSession
from skymailing.tokens import RESET, account_token
from tests.conftest import SignIn
from tests.support.factories import PASSWORD, UserFactory
from tests.support.servers import RedisServer, SmtpServer

PAGE = "/auth/profile/sessions"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/19.1 Mobile/15E148 Safari/604.1"
)


def log_in(
    browser: FlaskClient, user: User, agent: str = FIREFOX, address: str = "203.0.113.7", **more: str
) -> FlaskClient:
    response = browser.post(
        "/auth/login",
        data={"email": user.email, "password": PASSWORD, **more},
        headers={"User-Agent": agent},
        environ_overrides={"REMOTE_ADDR": address},
    )
    assert response.status_code == 302
    return browser


def is_signed_in(browser: FlaskClient) -> bool:
    return browser.get("/auth/profile").status_code == 200


def list_device_letters(session: Session) -> list[OutboxLetter]:
    return list(session.scalars(select(OutboxLetter).where(OutboxLetter.template == "new-device")))


def test_the_list_names_device_and_network_and_marks_this_one(app: Flask, user: User) -> None:
    this_device = log_in(app.test_client(), user)
    log_in(app.test_client(), user, PHONE, "2001:db8:7:8::9")
    page = this_device.get(PAGE).text
    assert "Firefox, Windows" in page
    assert "203.0.113.*" in page
    assert "Safari, iPhone" in page
    assert "2001:db8:7::*" in page
    assert "203.0.113.7" not in page
    assert page.count("this device") == 1


def test_one_session_can_be_ended(app: Flask, user: User, session: Session) -> None:
    this_device, other_device, third_device = (log_in(app.test_client(), user) for _ in range(3))
    ids = session.scalars(select(UserSession.id).order_by(UserSession.id)).all()
    assert this_device.post(f"{PAGE}/{ids[1]}/end").status_code == 302
    assert [is_signed_in(browser) for browser in (this_device, other_device, third_device)] == [
        True,
        False,
        True,
    ]


def test_all_other_sessions_can_be_ended_including_remembered_ones(
    app: Flask, user: User, sign_in: SignIn
) -> None:
    other_device, stranger = app.test_client(), sign_in(UserFactory.create())
    log_in(other_device, user, remember="y")
    this_device = log_in(app.test_client(), user)
    response = this_device.post(f"{PAGE}/end-others", follow_redirects=True)
    assert "1 other device has been signed out." in response.text
    assert is_signed_in(this_device)
    assert is_signed_in(stranger)
    other_device.delete_cookie("session")
    assert not is_signed_in(other_device)


def test_sessions_of_other_users_are_neither_shown_nor_ended(
    browser: FlaskClient, sign_in: SignIn, session: Session
) -> None:
    other = UserFactory.create()
    theirs = sign_in(other)
    id = session.scalar(select(UserSession.id).where(UserSession.user_id == other.id))
    assert browser.post(f"{PAGE}/{id}/end").status_code == 404
    assert f"{PAGE}/{id}/end" not in browser.get(PAGE).text
    assert is_signed_in(theirs)


def test_last_use_is_read_from_redis(
    app: Flask, user: User, session: Session, redis_server: RedisServer
) -> None:
    with time_machine.travel("2026-11-25T08:00:00Z", tick=False) as clock:
        this_device, other_device = log_in(app.test_client(), user), log_in(app.test_client(), user)
        clock.shift(timedelta(hours=5))
        other_device.get("/clients/")
        assert this_device.get(PAGE).text.count('<time datetime="2026-11-25T13:00:00') == 2
        redis_server.client.flushall()  # now the sign-in is the latest known use
        page = this_device.get(PAGE).text
        assert page.count('<time datetime="2026-11-25T13:00:00') == 1


def test_a_remember_cookie_expires_on_the_server_too(app: Flask, user: User) -> None:
    """A session cookie contains its own date, but a remember-me cookie does not."""
    visitor = log_in(app.test_client(), user, remember="y")
    copy = visitor.get_cookie("remember_token")
    assert copy is not None
    for age, is_valid in ((timedelta(days=29), True), (timedelta(days=31), False)):
        with time_machine.travel(utcnow() + age):
            thief = app.test_client()
            thief.set_cookie("remember_token", copy.value)
            assert is_signed_in(thief) is is_valid


def test_a_session_that_is_not_remembered_ends_after_a_week(app: Flask, user: User) -> None:
    visitor = log_in(app.test_client(), user)
    with time_machine.travel(utcnow() + timedelta(days=6)):
        assert is_signed_in(visitor)
    with time_machine.travel(utcnow() + timedelta(days=8)):
        assert not is_signed_in(visitor)


def test_expired_sessions_are_deleted_at_the_next_sign_in(app: Flask, user: User, session: Session) -> None:
    log_in(app.test_client(), user)
    with time_machine.travel(utcnow() + timedelta(days=8)):
        log_in(app.test_client(), user)
    assert len(session.scalars(select(UserSession.id)).all()) == 1


def test_signing_in_again_replaces_this_devices_session(app: Flask, user: User, session: Session) -> None:
    visitor = log_in(app.test_client(), user)
    log_in(visitor, user)
    assert len(session.scalars(select(UserSession.id)).all()) == 1
    assert is_signed_in(visitor)


def change_password(this_device: FlaskClient, _app: Flask, _user: User) -> None:
    new = "three odd words"
    this_device.post(
        "/auth/profile/password",
        data={"current_password": PASSWORD, "password": new, "password_confirm": new},
    )


def reset_password(this_device: FlaskClient, app: Flask, user: User) -> None:
    with app.app_context():
        token = account_token(RESET, user)
    new = "three odd words"
    this_device.post(f"/auth/reset/{token}", data={"password": new, "password_confirm": new})


def end_others(this_device: FlaskClient, _app: Flask, _user: User) -> None:
    this_device.post(f"{PAGE}/end-others")


def turn_on_two_factor(this_device: FlaskClient, _app: Flask, _user: User) -> None:
    page = this_device.post(
        "/auth/profile/second-step", data={"current_password": PASSWORD}, follow_redirects=True
    )
    key = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
    assert key is not None
    code = pyotp.TOTP(key[1].replace(" ", "")).at(utcnow())
    this_device.post("/auth/profile/second-step/setup", data={"code": code})


@pytest.mark.parametrize(
    ("act", "left"), [(change_password, 1), (reset_password, 1), (end_others, 1), (turn_on_two_factor, 1)]
)
def test_devices_are_forgotten_with_their_sessions(
    app: Flask, user: User, session: Session, act: Callable[[FlaskClient, Flask, User], None], left: int
) -> None:
    """Otherwise, a thief's browser would stay exempt from the limits on guessing."""
    this_device = log_in(app.test_client(), user)
    for _ in range(2):
        log_in(app.test_client(), user)
    colleague = UserFactory.create()
    log_in(app.test_client(), colleague)
    cookie = this_device.get_cookie("device")
    assert cookie is not None
    act(this_device, app, user)
    known = session.scalars(select(KnownDevice.key_hash).where(KnownDevice.user_id == user.id)).all()
    assert len(known) == left
    assert not left or known == [hashlib.sha256(cookie.value.encode()).hexdigest()]
    assert session.scalar(select(KnownDevice).where(KnownDevice.user_id == colleague.id)) is not None


def test_a_letter_reports_each_new_device_once(
    app: Flask, user: User, session: Session, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    known, new = app.test_client(), app.test_client()
    log_in(known, user)
    assert list_device_letters(session) == []  # the first device is the one that created the account
    log_in(new, user, PHONE, "198.51.100.20")
    known.post("/auth/logout")
    new.post("/auth/logout")
    log_in(known, user)
    log_in(new, user, PHONE)
    (letter,) = list_device_letters(session)
    assert (letter.params["device"], letter.params["address"]) == ("Safari, iPhone", "198.51.100.*")
    work()
    (sent,) = smtp.letters
    assert sent.parsed["Subject"] == "New sign-in to your account"
    assert "Safari, iPhone" in sent.text
    assert "http://sky.example/auth/profile/sessions" in sent.text


def test_known_devices_are_stored_per_account(app: Flask, user: User, session: Session) -> None:
    other = UserFactory.create()
    log_in(app.test_client(), other)
    shared = log_in(app.test_client(), user)
    shared.post("/auth/logout")
    log_in(shared, other)
    assert [letter.user_id for letter in list_device_letters(session)] == [other.id]


def test_a_device_that_has_not_been_used_for_a_long_time_counts_as_new(
    app: Flask, user: User, session: Session
) -> None:
    """By then, its cookie has expired and its row has been deleted. A device in use remains known."""
    used, unused = app.test_client(), app.test_client()
    for _ in range(2):
        log_in(used, user)
    log_in(unused, user)
    assert len(list_device_letters(session)) == 1
    for days in (300, 600):
        with time_machine.travel(utcnow() + timedelta(days=days)):
            log_in(used, user)
    assert len(list_device_letters(session)) == 1
    assert len(session.scalars(select(KnownDevice.key_hash)).all()) == 1


def test_letters_about_devices_can_be_turned_off(app: Flask, user: User, session: Session) -> None:
    this_device = log_in(app.test_client(), user)
    page = this_device.get("/auth/profile").text
    assert 'name="wants_login_letters"' in page
    this_device.post("/auth/profile", data={"name": "Anna", "locale": "en", "timezone": "UTC"})
    log_in(app.test_client(), user)
    assert list_device_letters(session) == []


def test_letters_about_devices_are_limited(app: Flask, user: User, session: Session) -> None:
    for _ in range(8):
        log_in(app.test_client(), user)
    assert len(list_device_letters(session)) == 5


@pytest.mark.parametrize("forged", ["", "x" * 22 + "\n", "x" * 3000, "../../x", "é" * 22])
def test_a_forged_device_cookie_is_replaced(app: Flask, user: User, forged: str) -> None:
    visitor = app.test_client()
    visitor.set_cookie("device", forged)
    log_in(visitor, user)
    cookie = visitor.get_cookie("device")
    assert cookie is not None
    assert len(cookie.value) == 22
    assert cookie.value != forged
    assert cookie.http_only


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (FIREFOX, "Firefox, Windows"),
        (PHONE, "Safari, iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36 Edg/140.0", "Edge, Linux"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome, Android"),
        ("<script>alert(1)</script>\r\nFirefox", "Firefox"),
        ("", ""),
    ],
)
def test_device_names_contain_only_names_from_our_lists(agent: str, expected: str) -> None:
    assert name_device(agent) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.7", "203.0.113.*"),
        ("::ffff:203.0.113.7", "203.0.113.*"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::*"),
        ("::1", "::*"),
        (None, ""),
        ("<b>", ""),
    ],
)
def test_addresses_are_masked(address: str | None, expected: str) -> None:
    assert mask_address(address) == expected
