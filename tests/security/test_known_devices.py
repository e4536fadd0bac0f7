"""Test that the owner's known devices are not locked out by strangers, and have their own limit."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from skymailing.models import User
from tests.security.guessing import guess
from tests.support.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.one_engine


def make_known(app: Flask, user: User) -> FlaskClient:
    """Return a signed-out browser that the account knows from an earlier sign-in."""
    browser = app.test_client()
    data = {"email": user.email, "password": PASSWORD}
    assert browser.post("/auth/login", data=data).status_code == 302
    browser.post("/auth/logout")
    return browser


def test_guessing_one_account_from_many_addresses_is_stopped_but_not_the_owner(
    throttled: Flask, user: User
) -> None:
    own, password = make_known(throttled, user), {"email": user.email, "password": PASSWORD}
    codes = [guess(throttled, user.email, f"198.51.{n}.1").status_code for n in range(101)]
    assert codes == [200] * 100 + [429]
    stranger = throttled.test_client()
    assert stranger.post("/auth/login", data=password).status_code == 429
    assert own.post("/auth/login", data=password).status_code == 302


def test_a_known_device_has_a_limit_too(throttled: Flask, user: User) -> None:
    own = make_known(throttled, user)
    codes = [guess(throttled, user.email, f"198.51.{n}.1", browser=own).status_code for n in range(51)]
    assert codes == [200] * 50 + [429]


def test_a_device_known_to_one_account_is_not_known_to_another(throttled: Flask, user: User) -> None:
    thief = make_known(throttled, UserFactory.create())
    codes = [guess(throttled, user.email, f"198.51.{n}.1", browser=thief).status_code for n in range(101)]
    assert codes == [200] * 100 + [429]


def test_a_stranger_in_the_same_network_does_not_lock_out_a_known_device(
    throttled: Flask, user: User
) -> None:
    own, data = make_known(throttled, user), {"email": user.email, "password": PASSWORD}
    codes = [guess(throttled, user.email, "127.0.0.1").status_code for _ in range(11)]
    assert codes[-1] == 429
    assert own.post("/auth/login", data=data).status_code == 302
