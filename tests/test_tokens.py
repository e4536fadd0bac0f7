"""Test the tokens in links."""

import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from itsdangerous import Signer
from sqlalchemy.orm import Session

from skymailing import tokens
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import User
from skymailing.tokens import BadToken
from tests.support.factories import UserFactory
from tests.support.timing import cpu_seconds

# Tokens do not depend on the database.
pytestmark = pytest.mark.one_engine

HOUR = timedelta(hours=1)
Damage = Callable[[str], str]


def test_a_token_returns_its_payload(app: Flask) -> None:
    with app.app_context():
        token = tokens.make_token("purpose", {"number": 7, "text": "Привет"})
        assert tokens.read_token("purpose", token, HOUR) == {"number": 7, "text": "Привет"}


def test_a_token_is_valid_for_one_purpose(app: Flask) -> None:
    with app.app_context():
        token = tokens.make_token("purpose", {})
        with pytest.raises(BadToken):
            tokens.read_token("another", token, HOUR)


def test_a_token_expires(app: Flask) -> None:
    with app.app_context():
        token = tokens.make_token("purpose", {"a": 1})
        with time_machine.travel(utcnow() + 2 * HOUR):
            with pytest.raises(BadToken) as raised:
                tokens.read_token("purpose", token, HOUR)
            assert raised.value.reason == "expired"
            assert tokens.read_token("purpose", token, None) == {"a": 1}


@pytest.mark.parametrize("damage", [lambda t: t[:-1], lambda t: "x" + t, lambda t: "", lambda t: "\x00.ы.."])
def test_a_damaged_token_is_rejected(app: Flask, damage: Damage) -> None:
    with app.app_context():
        token = tokens.make_token("purpose", {})
        with pytest.raises(BadToken):
            tokens.read_token("purpose", damage(token), HOUR)


def test_an_account_token_is_invalid_after_the_change_it_allows(app: Flask, session: Session) -> None:
    user_id = UserFactory.create(confirmed_at=None).id
    with app.app_context():
        user = db.session.get_one(User, user_id)
        token = tokens.account_token(tokens.VERIFY, user)
        assert tokens.read_account_token(tokens.VERIFY, token, HOUR) is user
        user.confirmed_at = utcnow()
        with pytest.raises(BadToken) as raised:
            tokens.read_account_token(tokens.VERIFY, token, HOUR)
        assert raised.value.reason == "used"


def test_an_unsubscribe_token_never_expires(app: Flask) -> None:
    with app.app_context():
        token = tokens.unsubscribe_token(7, "a+b@xn--e1afmkfd.xn--p1ai")
        with time_machine.travel(utcnow() + timedelta(days=3650)):
            assert tokens.read_unsubscribe_token(token) == (7, "a+b@xn--e1afmkfd.xn--p1ai", None)


def test_an_unsubscribe_token_hides_the_owner_and_the_address(app: Flask) -> None:
    with app.app_context():
        token = tokens.unsubscribe_token(7, "someone@example.com")
        assert token == tokens.unsubscribe_token(7, "someone@example.com")
    shown = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"someone" not in shown
    assert b"7:" not in shown


def test_unsubscribe_links_of_earlier_versions_work(app: Flask) -> None:
    with app.app_context():
        signer = Signer(app.config["SECRET_KEY"], salt="skymailing.unsubscribe", digest_method=hashlib.sha256)
        value = base64.urlsafe_b64encode(b"7:a@example.com").rstrip(b"=")
        token = signer.sign(value).decode()
        assert tokens.read_unsubscribe_token(token) == (7, "a@example.com", None)
        with pytest.raises(BadToken):
            tokens.read_unsubscribe_token("x" + token)


def test_an_unsubscribe_token_contains_the_topic_of_its_letter(app: Flask) -> None:
    with app.app_context():
        token = tokens.unsubscribe_token(7, "1.5:odd@example.com", 12)
        assert tokens.read_unsubscribe_token(token) == (7, "1.5:odd@example.com", 12)
        assert tokens.unsubscribe_token(7, "1.5:odd@example.com") != token


def test_unsubscribe_links_from_before_topics_work(app: Flask) -> None:
    token = "1p1WTSmB1iRQkW5DoKr9leSSZFhA9PpjxE6jpRB9lWq8yw"  # with the tests' SECRET_KEY
    with app.app_context():
        assert tokens.read_unsubscribe_token(token) == (7, "anna@example.com", None)
        assert tokens.unsubscribe_token(7, "anna@example.com") == token


def test_an_unsubscribe_token_needs_no_escaping_in_a_url(app: Flask) -> None:
    with app.app_context():
        token = tokens.unsubscribe_token(7, "a/b?c=d&e@example.com")
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@pytest.mark.parametrize(
    "damage", [lambda t: t[:-1], lambda t: "x" + t, lambda t: "ы", lambda t: "", lambda t: "."]
)
def test_a_damaged_unsubscribe_token_is_rejected(app: Flask, damage: Damage) -> None:
    with app.app_context(), pytest.raises(BadToken):
        tokens.read_unsubscribe_token(damage(tokens.unsubscribe_token(7, "a@example.com")))


def test_unsubscribe_tokens_are_created_quickly(app: Flask) -> None:
    with app.app_context():
        tokens.unsubscribe_token(0, "")
        with cpu_seconds(2000 * 200e-6):  # rendering a whole letter takes little longer
            for number in range(2000):
                tokens.unsubscribe_token(number, "someone@example.com")
