"""Test slow requests: each user's requests are handled one after another."""

import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import TooManyRequests

from skymailing import queue
from skymailing.models import User
from skymailing.web import user_turns
from skymailing.web.user_turns import MAX_SECONDS, PLACES, take_turn
from tests.conftest import SignIn
from tests.support.factories import UserFactory

pytestmark = pytest.mark.one_engine
TYPED = {"subject": "Hi", "format": "markdown", "body": "Hello", "to": "html"}


@pytest.fixture(autouse=True)
def clear(app: Flask) -> Iterator[None]:
    yield
    with app.app_context():
        for key in queue.connection().scan_iter("skymailing:user-turns:*"):
            queue.connection().delete(key)


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_turns, "WAIT", 0.1)


def hold_turn(app: Flask, user: User) -> Callable[[], None]:
    """Take a user's turn as another process would; return a function that releases it.

    The app context must end before the test sends a request, since Flask-Login stores the user in the
    context.
    """
    with app.app_context():
        lock = queue.connection().lock(f"skymailing:user-turns:{user.id}:turn", timeout=MAX_SECONDS)
        assert lock.acquire(blocking=False)

    def release() -> None:
        lock.release()

    return release


def test_the_next_request_of_a_user_waits_for_the_first(app: Flask) -> None:
    order: list[str] = []
    is_inside = threading.Event()

    def second() -> None:
        with app.app_context(), take_turn("7"):
            order.append("second")

    with app.app_context(), take_turn("7"):
        thread = threading.Thread(target=second)
        thread.start()
        is_inside.wait(0.3)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


@pytest.mark.usefixtures("short_wait")
def test_a_users_slow_request_does_not_delay_other_users(
    app: Flask, browser: FlaskClient, user: User, sign_in: SignIn
) -> None:
    other = sign_in(UserFactory.create())
    release = hold_turn(app, user)
    rejected = browser.post("/messages/convert", data=TYPED)
    assert rejected.status_code == 429
    assert rejected.headers["Retry-After"] == "1"
    assert other.post("/messages/convert", data=TYPED).status_code == 200
    release()
    assert browser.post("/messages/convert", data=TYPED).status_code == 200


def test_when_several_requests_are_waiting_the_next_is_rejected_immediately(app: Flask) -> None:
    with app.app_context():
        for place in range(PLACES):
            queue.connection().set(f"skymailing:user-turns:7:{place}", "taken")
        with pytest.raises(TooManyRequests), take_turn("7"):
            pytest.fail("the request was not rejected")


@pytest.mark.usefixtures("short_wait")
@pytest.mark.parametrize("path", ["/messages/preview", "/messages/insight", "/mailings/preview"])
def test_every_slow_page_waits_for_the_users_turn(
    app: Flask, browser: FlaskClient, user: User, path: str
) -> None:
    hold_turn(app, user)
    assert browser.post(path, data=TYPED).status_code == 429


def test_an_error_releases_the_turn(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(ZeroDivisionError), take_turn("7"):
            raise ZeroDivisionError
        with take_turn("7"):
            pass


def test_without_redis_nothing_is_limited(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        monkeypatch.setitem(app.config, "REDIS_URL", "redis://127.0.0.1:1/0")
        monkeypatch.setitem(app.extensions, "skymailing_redis", queue.connect())
        with take_turn("7"), take_turn("7"):
            pass
