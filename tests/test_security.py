"""Test permissions, tokens and passwords."""

import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask, Response
from flask_login import login_user
from itsdangerous import Signer
from sqlalchemy.orm import Session
from werkzeug.exceptions import Forbidden, NotFound

from skymailing import security
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Client, Role, User
from skymailing.security import BadToken
from tests.support.factories import ClientFactory, UserFactory
from tests.support.timing import cpu_seconds

# Tokens and passwords do not depend on the database.
pytestmark = pytest.mark.one_engine

HOUR = timedelta(hours=1)
Damage = Callable[[str], str]


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


def test_a_token_returns_its_payload(app: Flask) -> None:
    with app.app_context():
        token = security.make_token("purpose", {"number": 7, "text": "Привет"})
        assert security.read_token("purpose", token, HOUR) == {"number": 7, "text": "Привет"}


def test_a_token_is_valid_for_one_purpose(app: Flask) -> None:
    with app.app_context():
        token = security.make_token("purpose", {})
        with pytest.raises(BadToken):
            security.read_token("another", token, HOUR)


def test_a_token_expires(app: Flask) -> None:
    with app.app_context():
        token = security.make_token("purpose", {"a": 1})
        with time_machine.travel(utcnow() + 2 * HOUR):
            with pytest.raises(BadToken) as raised:
                security.read_token("purpose", token, HOUR)
            assert raised.value.reason == "expired"
            assert security.read_token("purpose", token, None) == {"a": 1}


@pytest.mark.parametrize("damage", [lambda t: t[:-1], lambda t: "x" + t, lambda t: "", lambda t: "\x00.ы.."])
def test_a_damaged_token_is_rejected(app: Flask, damage: Damage) -> None:
    with app.app_context():
        token = security.make_token("purpose", {})
        with pytest.raises(BadToken):
            security.read_token("purpose", damage(token), HOUR)


def test_an_account_token_is_invalid_after_the_change_it_allows(app: Flask, session: Session) -> None:
    user_id = UserFactory.create(confirmed_at=None).id
    with app.app_context():
        user = db.session.get_one(User, user_id)
        token = security.account_token(security.VERIFY, user)
        assert security.read_account_token(security.VERIFY, token, HOUR) is user
        user.confirmed_at = utcnow()
        with pytest.raises(BadToken) as raised:
            security.read_account_token(security.VERIFY, token, HOUR)
        assert raised.value.reason == "used"


def test_an_unsubscribe_token_never_expires(app: Flask) -> None:
    with app.app_context():
        token = security.unsubscribe_token(7, "a+b@xn--e1afmkfd.xn--p1ai")
        with time_machine.travel(utcnow() + timedelta(days=3650)):
            assert security.read_unsubscribe_token(token) == (7, "a+b@xn--e1afmkfd.xn--p1ai", None)


def test_an_unsubscribe_token_hides_the_owner_and_the_address(app: Flask) -> None:
    with app.app_context():
        token = security.unsubscribe_token(7, "someone@example.com")
        assert token == security.unsubscribe_token(7, "someone@example.com")
    shown = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"someone" not in shown
    assert b"7:" not in shown


def test_unsubscribe_links_of_earlier_versions_work(app: Flask) -> None:
    with app.app_context():
        signer = Signer(app.config["SECRET_KEY"], salt="skymailing.unsubscribe", digest_method=hashlib.sha256)
        value = base64.urlsafe_b64encode(b"7:a@example.com").rstrip(b"=")
        token = signer.sign(value).decode()
        assert security.read_unsubscribe_token(token) == (7, "a@example.com", None)
        with pytest.raises(BadToken):
            security.read_unsubscribe_token("x" + token)


def test_an_unsubscribe_token_contains_the_topic_of_its_letter(app: Flask) -> None:
    with app.app_context():
        token = security.unsubscribe_token(7, "1.5:odd@example.com", 12)
        assert security.read_unsubscribe_token(token) == (7, "1.5:odd@example.com", 12)
        assert security.unsubscribe_token(7, "1.5:odd@example.com") != token


def test_unsubscribe_links_from_before_topics_work(app: Flask) -> None:
    token = "1p1WTSmB1iRQkW5DoKr9leSSZFhA9PpjxE6jpRB9lWq8yw"  # with the tests' SECRET_KEY
    with app.app_context():
        assert security.read_unsubscribe_token(token) == (7, "anna@example.com", None)
        assert security.unsubscribe_token(7, "anna@example.com") == token


def test_an_unsubscribe_token_needs_no_escaping_in_a_url(app: Flask) -> None:
    with app.app_context():
        token = security.unsubscribe_token(7, "a/b?c=d&e@example.com")
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@pytest.mark.parametrize(
    "damage", [lambda t: t[:-1], lambda t: "x" + t, lambda t: "ы", lambda t: "", lambda t: "."]
)
def test_a_damaged_unsubscribe_token_is_rejected(app: Flask, damage: Damage) -> None:
    with app.app_context(), pytest.raises(BadToken):
        security.read_unsubscribe_token(damage(security.unsubscribe_token(7, "a@example.com")))


def test_unsubscribe_tokens_are_created_quickly(app: Flask) -> None:
    with app.app_context():
        security.unsubscribe_token(0, "")
        with cpu_seconds(2000 * 200e-6):  # rendering a whole letter takes little longer
            for number in range(2000):
                security.unsubscribe_token(number, "someone@example.com")


def test_only_the_right_password_matches(app: Flask) -> None:
    with app.app_context():
        password_hash = security.hash_password("three odd words")
        assert password_hash.startswith("$argon2id$")
        assert security.verify_password(password_hash, "three odd words")
        assert not security.verify_password(password_hash, "three odd wordS")
        assert not security.verify_password(None, "not a password")
        assert not security.verify_password("not a hash", "x")


@pytest.mark.both_engines
def test_get_own_returns_only_rows_of_the_user(app: Flask, user: User, session: Session) -> None:
    own_id, other_id = ClientFactory.create(owner=user).id, ClientFactory.create().id
    with app.test_request_context():
        login_user(db.session.get(User, user.id))
        assert security.get_own(Client, own_id).id == own_id
        for foreign in (other_id, 999_999):
            with pytest.raises(NotFound):
                security.get_own(Client, foreign)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [(Role.MANAGER, True), (Role.ADMIN, True), (Role.USER, False), (Role.CONTENT, False)],
)
def test_a_role_check_allows_the_given_role_and_administrators(
    app: Flask, session: Session, role: Role, allowed: bool
) -> None:
    view = security.role_required(Role.MANAGER)(lambda: "a page")
    user_id = UserFactory.create(role=role).id
    with app.test_request_context():
        login_user(db.session.get(User, user_id))
        if allowed:
            assert view() == "a page"
        else:
            with pytest.raises(Forbidden):
                view()


def test_a_role_check_redirects_visitors_to_the_login_page(app: Flask, session: Session) -> None:
    view = security.role_required(Role.MANAGER)(lambda: Response())
    with app.test_request_context("/somewhere"):
        response = view()
        assert response.location == "/auth/login?next=%2Fsomewhere"


@pytest.mark.parametrize("identity", ["", "x", "1", "1.", ".1", "1.x", "999999.0", "1.x.0"])
def test_a_malformed_session_has_no_user(app: Flask, session: Session, identity: str) -> None:
    with app.app_context():
        assert security.load_user(identity) is None
