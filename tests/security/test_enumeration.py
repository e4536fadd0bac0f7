"""Test that neither the content nor the time of responses reveals which addresses have an account.

The tests measure processor time, because a busy machine distorts wall-clock time. Known and unknown
addresses alternate, so that other load affects both alike, and the medians are compared.
"""

import statistics
import time
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import User
from skymailing.security import hash_password
from tests.security.conftest import MakeApp
from tests.support.factories import PASSWORD, ClientFactory, UserFactory

pytestmark = pytest.mark.one_engine

ROUNDS = 15
COST = {
    "time_cost": 2,
    "memory_cost": 8_192,
    "parallelism": 1,
}  # about 10 ms, more than the rest of a request
NEW_PASSWORD = {"password": "three odd words", "password_confirm": "three odd words"}


def compare(known: Callable[[], object], unknown: Callable[[], object]) -> float:
    """Return the ratio of the larger median to the smaller."""
    samples: dict[Callable[[], object], list[float]] = {known: [], unknown: []}
    for _ in range(ROUNDS):
        for attempt in (known, unknown):
            start = time.process_time()
            attempt()
            samples[attempt].append(time.process_time() - start)
    first, second = (statistics.median(times[2:]) for times in samples.values())
    return max(first, second) / min(first, second)


@pytest.fixture
def app_with_slow_hashing(make_app: MakeApp) -> Flask:
    """Create an app that spends most of its time on hashing, as in production."""
    return make_app(PASSWORD_HASH_COST=COST)


def test_a_wrong_password_takes_the_same_time_for_every_address(
    app_with_slow_hashing: Flask, session: Session
) -> None:
    browser = app_with_slow_hashing.test_client()
    with app_with_slow_hashing.app_context():
        password_hash = hash_password(PASSWORD)
    known = UserFactory.create(password_hash=password_hash)
    blocked = UserFactory.create(password_hash=password_hash, blocked_at=utcnow())
    unconfirmed = UserFactory.create(password_hash=password_hash, confirmed_at=None)
    with_two_factor = UserFactory.create(password_hash=password_hash, second_factor_at=utcnow())

    def attempt(email: str) -> Callable[[], object]:
        return lambda: browser.post("/auth/login", data={"email": email, "password": "guessed at"})

    for user in (known, blocked, unconfirmed, with_two_factor):
        assert compare(attempt(user.email), attempt("no-one@example.com")) < 1.6


@pytest.mark.parametrize("path", ["/auth/register", "/auth/reset"])
def test_requests_for_letters_take_constant_time(make_app: MakeApp, user: User, path: str) -> None:
    """Both responses are delayed until a fixed time has passed, because the work behind them differs."""
    app = make_app(MIN_RESPONSE_SECONDS=0.25)
    for email in (user.email, "no-one@example.com"):
        times = []
        for _ in range(3):
            start = time.monotonic()
            assert app.test_client().post(path, data={"email": email} | NEW_PASSWORD).status_code == 302
            times.append(time.monotonic() - start)
        assert 0.25 <= min(times) < 0.45, "the shortest time counts, because load can only add to it"


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register", "/auth/reset"])
def test_responses_are_identical_for_every_address(app: Flask, session: Session, path: str) -> None:
    accounts = [
        UserFactory.create().email,
        UserFactory.create(blocked_at=utcnow(), blocked_reason="spam").email,
        UserFactory.create(confirmed_at=None).email,
        UserFactory.create(second_factor_at=utcnow()).email,
        "no-one@example.com",
    ]
    responses = []
    for email in accounts:
        browser = app.test_client()
        response = browser.post(path, data={"email": email, "password": "guessed at"} | NEW_PASSWORD)
        page = browser.get(response.location) if response.location else response
        headers = {name: value for name, value in response.headers if name != "Set-Cookie"}
        cookies = sorted(cookie.partition("=")[0] for cookie in response.headers.getlist("Set-Cookie"))
        for name in ("Content-Length", "X-Request-ID"):
            headers.pop(name, None)
        responses.append((response.status_code, headers, cookies, page.text.replace(email, "")))
    assert all(response == responses[0] for response in responses[1:])


def test_requesting_the_link_again_does_not_reveal_an_account(visitor: FlaskClient, session: Session) -> None:
    unconfirmed = UserFactory.create(confirmed_at=None).email
    pages = [
        visitor.post("/auth/resend", data={"email": email}, follow_redirects=True).text.replace(email, "")
        for email in (unconfirmed, "no-one@example.com")
    ]
    assert pages[0] == pages[1]


def test_another_users_client_looks_like_a_missing_one(browser: FlaskClient, session: Session) -> None:
    foreign = ClientFactory.create()
    responses = [browser.get(f"/clients/{client_id}/edit") for client_id in (foreign.id, 999_999)]
    assert responses[0].status_code == responses[1].status_code == 404
    assert responses[0].text == responses[1].text
