"""Test that guessing and flooding are stopped, even with forged addresses, without affecting other users."""

import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyotp
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import User
from skymailing.settings.oidc import OidcSettings
from skymailing.settings.quotas import QuotaSettings
from tests.conftest import WEBHOOK_SECRET
from tests.returns.posts import brevo
from tests.security.conftest import MakeApp
from tests.security.guessing import guess
from tests.support.factories import PASSWORD, UserFactory
from tests.support.servers import RedisServer

pytestmark = pytest.mark.one_engine


def test_password_guessing_is_stopped(throttled: Flask, user: User) -> None:
    browser = throttled.test_client()
    codes = [
        browser.post("/auth/login", data={"email": user.email, "password": f"guess {n}"}).status_code
        for n in range(11)
    ]
    assert codes == [200] * 10 + [429]
    response = browser.post("/auth/login", data={"email": user.email, "password": PASSWORD})
    assert response.status_code == 429
    assert "Too many attempts" in response.text


def test_guessing_does_not_lock_the_victim_out(throttled: Flask, user: User) -> None:
    attacker, victim = throttled.test_client(), throttled.test_client()
    for n in range(12):
        attacker.post("/auth/login", data={"email": user.email, "password": f"guess {n}"})
    victims_address = {"REMOTE_ADDR": "192.0.2.7"}
    response = victim.post(
        "/auth/login", data={"email": user.email, "password": PASSWORD}, environ_overrides=victims_address
    )
    assert response.status_code == 302


def test_successful_sign_ins_are_not_counted(throttled: Flask, user: User) -> None:
    for _ in range(12):
        browser = throttled.test_client()
        data = {"email": user.email, "password": PASSWORD}
        assert browser.post("/auth/login", data=data).status_code == 302


def register(app: Flask, email: str) -> int:
    data = {"email": email, "password": "three odd words", "password_confirm": "three odd words"}
    return app.test_client().post("/auth/register", data=data).status_code


@pytest.mark.parametrize(
    "spelling",
    ["victim+{}@gmail.com", "Victim+x.{}@GMAIL.com", "v.ictim+{}@gmail.com", "vic.tim+{}@googlemail.com"],
)
def test_tags_do_not_allow_more_registrations_of_one_mailbox(throttled: Flask, spelling: str) -> None:
    codes = [register(throttled, f"victim+first{n}@gmail.com") for n in range(2)]
    codes += [register(throttled, spelling.format(n)) for n in range(3)]

    assert codes == [302, 302, 302, 429, 429]
    assert register(throttled, "victim@gmail.com") == 302, "the owner of the mailbox can still register"
    assert register(throttled, "other+1@gmail.com") == 302
    with time_machine.travel(utcnow() + timedelta(hours=24, seconds=1)):
        assert register(throttled, spelling.format("later")) == 302


def test_registrations_per_mailbox_can_be_unlimited(make_app: MakeApp) -> None:
    settings = QuotaSettings(registrations_per_mailbox=0)
    app = make_app(RATELIMIT_ENABLED=True, QUOTAS=settings)

    assert [register(app, f"victim+{n}@example.com") for n in range(5)] == [302] * 5


@pytest.mark.parametrize("path", ["/auth/register", "/auth/reset"])
def test_letters_to_one_address_are_throttled(throttled: Flask, user: User, path: str) -> None:
    data = {"email": user.email, "password": "three odd words", "password_confirm": "three odd words"}
    codes = [throttled.test_client().post(path, data=data).status_code for _ in range(6)]
    assert codes == [302] * 5 + [429]


@pytest.mark.parametrize("scheme", ["redis+unix:///nowhere/redis.sock", "redis://127.0.0.1:1"])
def test_sign_in_works_without_redis(make_app: MakeApp, user: User, scheme: str) -> None:
    app = make_app(RATELIMIT_ENABLED=True, RATELIMIT_STORAGE_URI=scheme)
    response = app.test_client().post("/auth/login", data={"email": user.email, "password": PASSWORD})
    assert response.status_code == 302


def test_a_forged_address_allows_no_more_guesses(throttled: Flask, user: User) -> None:
    codes = [
        guess(throttled, user.email, "203.0.113.7", forwarded=f"198.51.100.{n}").status_code
        for n in range(11)
    ]
    assert codes == [200] * 10 + [429]


def test_behind_a_proxy_the_visitors_own_address_counts(make_app: MakeApp, user: User) -> None:
    app = make_app(RATELIMIT_ENABLED=True, TRUSTED_PROXIES=1)
    proxy = "10.0.0.1"
    # The proxy appends the real address after the attacker's own header.
    codes = [
        guess(app, user.email, proxy, forwarded=f"192.0.2.{n}, 203.0.113.7").status_code for n in range(11)
    ]
    assert codes == [200] * 10 + [429]
    assert guess(app, user.email, proxy, forwarded="198.51.100.9").status_code == 200


def test_behind_two_proxies_the_second_to_last_entry_counts(make_app: MakeApp, user: User) -> None:
    app = make_app(RATELIMIT_ENABLED=True, TRUSTED_PROXIES=2)
    codes = [
        guess(app, user.email, "10.0.0.1", forwarded=f"192.0.2.{n}, 203.0.113.7, 10.0.0.2").status_code
        for n in range(11)
    ]
    assert codes == [200] * 10 + [429]


def test_guesses_are_counted_in_a_sliding_window(throttled: Flask, user: User) -> None:
    """The counter does not restart every quarter of an hour."""
    quarter = int(utcnow().timestamp()) // 900 * 900 + 900
    codes = []
    for at in (quarter - 20, quarter + 20):
        with time_machine.travel(at, tick=False):
            codes += [guess(throttled, user.email, "203.0.113.7").status_code for _ in range(6)]
    assert codes == [200] * 10 + [429] * 2


def test_guessing_many_accounts_from_one_address_is_stopped(throttled: Flask, session: Session) -> None:
    codes = [guess(throttled, f"no-one{n}@example.com", "203.0.113.7").status_code for n in range(101)]
    assert codes == [200] * 100 + [429]
    assert guess(throttled, "no-one1@example.com", "203.0.113.8").status_code == 200


@pytest.mark.parametrize(
    "other",
    [
        "Owner@EXAMPLE.com",
        "  owner@example.com ",
        "owner@example.com\t",
        "\u200bowner@example.com",
        "owner@ｅｘａｍｐｌｅ.com",
        "owner@example。com",
    ],
)
def test_another_spelling_of_the_address_allows_no_more_guesses(
    throttled: Flask, session: Session, other: str
) -> None:
    UserFactory.create(email="owner@example.com")
    for _ in range(10):
        guess(throttled, "owner@example.com", "203.0.113.7")
    assert guess(throttled, other, "203.0.113.7").status_code == 429


@pytest.mark.parametrize("other", ["owner@exam\u00adple.com", "own\u200ber@a.example", "ｏwner@example.com"])
def test_no_password_is_checked_for_a_spelling_that_is_rejected(
    throttled: Flask, session: Session, other: str
) -> None:
    UserFactory.create(email="owner@example.com")
    response = throttled.test_client().post("/auth/login", data={"email": other, "password": PASSWORD})
    assert response.status_code == 200
    assert "Wrong email address or password" not in response.text


def test_a_whole_ipv6_network_counts_as_one_visitor(throttled: Flask, user: User) -> None:
    codes = [guess(throttled, user.email, f"2001:db8:7:1::{n:x}").status_code for n in range(1, 12)]
    assert codes == [200] * 10 + [429]
    assert guess(throttled, user.email, "::ffff:203.0.113.7").status_code == 200
    assert guess(throttled, user.email, "2001:db8:8::1").status_code == 200


def test_the_networks_of_one_customer_share_a_limit(throttled: Flask, user: User) -> None:
    codes = [guess(throttled, user.email, f"2001:db8:7:{n:x}::1").status_code for n in range(31)]
    assert codes == [200] * 30 + [429]


def test_registrations_from_one_ipv6_network_are_throttled(throttled: Flask, session: Session) -> None:
    codes = []
    for n in range(101):
        data = {"email": f"new{n}@example.com", "password": "odd words", "password_confirm": "odd words"}
        address = {"REMOTE_ADDR": f"2001:db8:7:1::{n:x}"}
        codes.append(
            throttled.test_client().post("/auth/register", data=data, environ_overrides=address).status_code
        )
    assert codes == [302] * 100 + [429]


def test_parallel_guesses_do_not_exceed_the_limit(throttled: Flask, session: Session) -> None:
    """The first guess is still being checked when the last guess arrives."""
    all_have_arrived = threading.Barrier(16, timeout=60)

    def attempt(_number: int) -> int:
        all_have_arrived.wait()
        return guess(throttled, "no-one@example.com", "203.0.113.7").status_code

    throttled.config["PASSWORD_HASH_COST"] = {"time_cost": 2, "memory_cost": 65_536, "parallelism": 1}
    with ThreadPoolExecutor(16) as pool:
        codes = Counter(pool.map(attempt, range(16)))
    assert codes == {200: 10, 429: 6}


def turn_on_two_factor(browser: FlaskClient) -> str:
    response = browser.post(
        "/auth/profile/second-step", data={"current_password": PASSWORD}, follow_redirects=True
    )
    key = re.search(r"<code>([A-Z2-7 ]+)</code>", response.text)
    assert key is not None
    secret = key[1].replace(" ", "")
    browser.post("/auth/profile/second-step/setup", data={"code": pyotp.TOTP(secret).at(utcnow())})
    return secret


def test_code_guessing_is_limited_across_addresses_but_not_for_the_owner(
    throttled: Flask, user: User
) -> None:
    own = throttled.test_client()
    password = {"email": user.email, "password": PASSWORD}
    with time_machine.travel(utcnow() + timedelta(hours=1), tick=False) as clock:
        own.post("/auth/login", data=password)
        secret = turn_on_two_factor(own)
        own.post("/auth/logout")
        clock.shift(60)
        codes = []
        for n in range(32):
            address = {"REMOTE_ADDR": f"203.0.113.{n // 8}"}
            thief = throttled.test_client()
            thief.post("/auth/login", data=password, environ_overrides=address)
            response = thief.post("/auth/login/code", data={"code": "000000"}, environ_overrides=address)
            codes.append(response.status_code)
        assert codes == [200] * 30 + [429] * 2
        own.post("/auth/login", data=password)
        response = own.post("/auth/login/code", data={"code": pyotp.TOTP(secret).at(utcnow())})
        assert response.status_code == 302


@pytest.mark.parametrize(
    ("path", "field"),
    [("/auth/profile/password", "current_password"), ("/auth/profile/second-step", "current_password")],
)
def test_a_stolen_session_cannot_guess_the_password(
    throttled: Flask, user: User, path: str, field: str
) -> None:
    thief = throttled.test_client()
    thief.post("/auth/login", data={"email": user.email, "password": PASSWORD})
    codes = [
        thief.post(
            path, data={field: f"guess {n}"}, environ_overrides={"REMOTE_ADDR": f"203.0.113.{n}"}
        ).status_code
        for n in range(21)
    ]
    assert codes == [200] * 20 + [429]
    other = throttled.test_client()  # a colleague at the same address is not locked out
    colleague = UserFactory.create()
    other.post("/auth/login", data={"email": colleague.email, "password": PASSWORD})
    assert other.post(path, data={field: "guess"}).status_code == 200


def test_counters_that_contain_an_address_expire_within_an_hour(
    throttled: Flask, user: User, redis_server: RedisServer
) -> None:
    guess(throttled, user.email, "203.0.113.7")
    throttled.test_client().post("/auth/reset", data={"email": user.email})
    keys = [key for key in redis_server.client.keys("*") if user.email.encode() in key]
    assert len(keys) >= 2
    assert all(0 < redis_server.client.ttl(key) <= 3600 for key in keys)


def test_guessing_the_secret_of_a_webhook_is_stopped(throttled: Flask) -> None:
    visitor = throttled.test_client()
    codes = [visitor.post(f"/hooks/brevo/guess-{number}").status_code for number in range(70)]
    assert codes[:60] == [404] * 60
    assert set(codes[60:]) == {429}
    provider = {"REMOTE_ADDR": "192.0.2.9"}
    for number in range(70):
        body = brevo("opened", f"{number}@example.org")
        path = f"/hooks/brevo/{WEBHOOK_SECRET}"
        assert visitor.post(path, data=body, environ_overrides=provider).status_code == 200


def test_attempts_that_may_wait_for_the_provider_are_limited(
    throttled: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(throttled.config, "OIDC", OidcSettings("https://id.example", "x", "y", "ID"))
    visitor = throttled.test_client()
    path = "/auth/login/provider/return?code=x&state=y"
    assert [visitor.get(path).status_code for _ in range(100)] == [303] * 100
    assert visitor.get(path).status_code == visitor.head(path).status_code == 429
    assert visitor.get("/auth/login/provider").status_code == 429
