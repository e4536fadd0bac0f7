"""Rights, tokens, passwords."""

import time
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask_login import login_user
from sqlalchemy.orm import Session
from werkzeug.exceptions import Forbidden, NotFound

from skymailing import security
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Client, Role, User
from skymailing.security import BadToken
from tests.support.factories import ClientFactory, UserFactory

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("target", "safe"),
    [
        ("/mailings/?page=2#top", True),
        ("/", True),
        ("/search?next=https://example.com/", True),
        ("", False),
        (None, False),
        ("mailings/", False),
        ("https://evil.example/", False),
        ("//evil.example/", False),
        ("///evil.example/", False),
        ("/\\evil.example/", False),
        ("\\\\evil.example/", False),
        ("/\t/evil.example/", False),
        ("/\n/evil.example/", False),
        (" //evil.example/", False),
        ("javascript:alert(1)", False),
    ],
)
def test_redirects_stay_on_this_site(target: str | None, safe: bool) -> None:
    assert security.is_safe_next(target) is safe


def test_token_brings_its_payload_back(app: Flask) -> None:
    with app.app_context():
        token = security.make_token("purpose", {"number": 7, "text": "Привет"})
        assert security.read_token("purpose", token, HOUR) == {"number": 7, "text": "Привет"}


def test_token_serves_one_purpose(app: Flask) -> None:
    with app.app_context():
        token = security.make_token("purpose", {})
        with pytest.raises(BadToken):
            security.read_token("another", token, HOUR)


def test_token_grows_too_old(app: Flask) -> None:
    with app.app_context():
        token = security.make_token("purpose", {"a": 1})
        with time_machine.travel(utcnow() + 2 * HOUR):
            with pytest.raises(BadToken) as caught:
                security.read_token("purpose", token, HOUR)
            assert caught.value.reason == "expired"
            assert security.read_token("purpose", token, None) == {"a": 1}


@pytest.mark.parametrize("damage", [lambda t: t[:-1], lambda t: "x" + t, lambda t: "", lambda t: "\x00.ы.."])
def test_damaged_token_is_refused(app: Flask, damage) -> None:
    with app.app_context():
        token = security.make_token("purpose", {})
        with pytest.raises(BadToken):
            security.read_token("purpose", damage(token), HOUR)


def test_account_token_dies_with_the_state_it_may_change(app: Flask, session: Session) -> None:
    user_id = UserFactory.create(confirmed_at=None).id
    with app.app_context():
        user = db.session.get_one(User, user_id)
        token = security.account_token(security.VERIFY, user)
        assert security.read_account_token(security.VERIFY, token, HOUR) is user
        user.confirmed_at = utcnow()
        with pytest.raises(BadToken) as caught:
            security.read_account_token(security.VERIFY, token, HOUR)
        assert caught.value.reason == "used"


def test_unsubscribe_token_names_owner_and_address_for_ever(app: Flask) -> None:
    with app.app_context():
        token = security.unsubscribe_token(7, "a+b@xn--e1afmkfd.xn--p1ai")
        with time_machine.travel(utcnow() + timedelta(days=3650)):
            assert security.read_unsubscribe_token(token) == (7, "a+b@xn--e1afmkfd.xn--p1ai")


def test_unsubscribe_token_needs_no_escaping_in_an_address(app: Flask) -> None:
    with app.app_context():
        token = security.unsubscribe_token(7, "a/b?c=d&e@example.com")
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@pytest.mark.parametrize(
    "damage", [lambda t: t[:-1], lambda t: "x" + t, lambda t: "ы", lambda t: "", lambda t: "."]
)
def test_damaged_unsubscribe_token_is_refused(app: Flask, damage) -> None:
    with app.app_context(), pytest.raises(BadToken):
        security.read_unsubscribe_token(damage(security.unsubscribe_token(7, "a@example.com")))


def test_unsubscribe_tokens_are_made_fast(app: Flask) -> None:
    with app.app_context():
        security.unsubscribe_token(0, "")
        started = time.perf_counter()
        for number in range(2000):
            security.unsubscribe_token(number, "somebody@example.com")
        each = (time.perf_counter() - started) / 2000
    assert each < 200e-6, "a letter costs not much more than this in all"


def test_password_matches_only_itself(app: Flask) -> None:
    with app.app_context():
        password_hash = security.hash_password("three odd words")
        assert password_hash.startswith("$argon2id$")
        assert security.verify_password(password_hash, "three odd words")
        assert not security.verify_password(password_hash, "three odd wordS")
        assert not security.verify_password(None, "nobody's password")
        assert not security.verify_password("not a hash", "x")


def test_get_own_finds_only_what_the_user_owns(app: Flask, user: User, session: Session) -> None:
    mine, other = ClientFactory.create(owner=user).id, ClientFactory.create().id
    with app.test_request_context():
        login_user(db.session.get(User, user.id))
        assert security.get_own(Client, mine).id == mine
        for foreign in (other, 999_999):
            with pytest.raises(NotFound):
                security.get_own(Client, foreign)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [(Role.MANAGER, True), (Role.ADMIN, True), (Role.USER, False), (Role.CONTENT, False)],
)
def test_role_decides_and_administrators_may_everything(app, session, role: Role, allowed: bool) -> None:
    view = security.role_required(Role.MANAGER)(lambda: "shown")
    user_id = UserFactory.create(role=role).id
    with app.test_request_context():
        login_user(db.session.get(User, user_id))
        if allowed:
            assert view() == "shown"
        else:
            with pytest.raises(Forbidden):
                view()


def test_role_asks_strangers_to_sign_in(app: Flask, session: Session) -> None:
    view = security.role_required(Role.MANAGER)(lambda: "shown")
    with app.test_request_context("/somewhere"):
        assert view().location == "/auth/login?next=%2Fsomewhere"


@pytest.mark.parametrize("identity", ["", "x", "1", "1.", ".1", "1.x", "999999.0", "1.x.0"])
def test_malformed_session_is_nobodys(app: Flask, session: Session, identity: str) -> None:
    with app.app_context():
        assert security.load_user(identity) is None
