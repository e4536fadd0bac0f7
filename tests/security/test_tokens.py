"""Test that forged, damaged, expired, reused and misused tokens are rejected, in links and cookies."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import tokens
from skymailing.auth.views.session import AWAITING_CODE
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Reviewer, Role, Sender, SignupForm, Suppression, User
from skymailing.outbox.reviewer_tokens import CONFIRM_REVIEWER, make_reviewer_token
from skymailing.outbox.sender_tokens import CONFIRM_SENDER, make_sender_token
from skymailing.outbox.signup_letters import CONFIRM_SIGNUP, make_signup_token
from skymailing.tokens import BadToken
from tests.security.object_factories import make_reviewer, make_signup
from tests.support.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.one_engine

NEW_PASSWORD = {"password": "three odd words", "password_confirm": "three odd words"}
PURPOSES = (tokens.VERIFY, tokens.RESET, tokens.NEW_EMAIL, AWAITING_CODE)


@pytest.fixture
def links(app: Flask, user: User, session: Session) -> dict[str, str]:
    """Return a valid token of each kind for `user`."""
    session.add(Sender(owner_id=user.id, address="news@shop.example", address_key="news@shop.example"))
    session.flush()
    signup, reviewer = make_signup(user), make_reviewer(user)
    with app.app_context():
        account = db.session.get_one(User, user.id)
        return {
            **{purpose: tokens.account_token(purpose, account) for purpose in PURPOSES},
            "unsubscribe": tokens.unsubscribe_token(user.id, "anna@example.com"),
            CONFIRM_SENDER: make_sender_token(session.scalars(select(Sender)).one()),
            CONFIRM_REVIEWER: make_reviewer_token(db.session.get_one(Reviewer, reviewer.id)),
            CONFIRM_SIGNUP: make_signup_token(signup),
        }


def test_no_token_is_valid_for_another_purpose(
    app: Flask, session: Session, visitor: FlaskClient, links: dict[str, str]
) -> None:
    pages = {
        tokens.VERIFY: "/auth/verify/{}",
        "set a password": "/auth/verify/{}/password",
        tokens.RESET: "/auth/reset/{}",
        tokens.NEW_EMAIL: "/auth/email/{}",
        "unsubscribe": "/u/{}",
        "undo": "/u/{}/undo",
        "reason": "/u/{}/reason",
        "preferences": "/p/{}",
        CONFIRM_REVIEWER: "/messages/test-emails/confirm/{}",
        CONFIRM_SENDER: "/senders/confirm/{}",
        CONFIRM_SIGNUP: f"/f/{session.scalars(select(SignupForm.uuid)).one()}/confirm/{{}}",
    }
    for token_purpose, token in links.items():
        for purpose, page in pages.items():
            response = visitor.post(page.format(token), data=NEW_PASSWORD)
            if purpose == token_purpose == tokens.VERIFY:
                assert response.status_code == 200  # NEW_PASSWORD contains another password
            elif (token_purpose, purpose) == (tokens.VERIFY, "set a password"):
                assert response.status_code == 302
            elif token_purpose == "unsubscribe" and purpose in ("undo", "reason", "preferences"):
                assert response.status_code == 200
            elif purpose != token_purpose:
                assert response.status_code in (404, 410), f"{token_purpose} at {page}"


@pytest.mark.parametrize("purpose", [tokens.VERIFY, tokens.NEW_EMAIL])
def test_a_token_with_a_changed_character_is_rejected(
    app: Flask, links: dict[str, str], purpose: str
) -> None:
    token = links[purpose]
    with app.test_request_context():
        assert tokens.read_account_token(purpose, token, timedelta(hours=1))
        for position in range(len(token)):
            for other in "A", "-", ".", "é":
                damaged = token[:position] + other + token[position + 1 :]
                if damaged == token or _only_unused_bits_differ(token, damaged):
                    continue
                with pytest.raises(BadToken):
                    tokens.read_account_token(purpose, damaged, timedelta(hours=1))


def _only_unused_bits_differ(token: str, damaged: str) -> bool:
    """Return whether the two tokens decode to the same bytes."""
    try:
        return [_decode(part) for part in token.split(".")] == [_decode(part) for part in damaged.split(".")]
    except ValueError:
        return False


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize(
    "payload",
    [{}, {"user": None}, {"user": 1}, {"user": "1"}, {"user": [1]}, {"user": 10**30}, [], "x", None, 7],
)
def test_a_signed_token_with_unexpected_content_is_rejected(
    app: Flask, visitor: FlaskClient, user: User, payload: object
) -> None:
    """A valid signature is not enough."""
    with app.app_context():
        token = tokens.make_token(tokens.RESET, payload)  # type: ignore[arg-type]  # deliberately wrong
    assert visitor.get(f"/auth/reset/{token}").status_code == 410
    assert visitor.post(f"/auth/reset/{token}", data=NEW_PASSWORD).status_code == 410


def test_a_token_signed_with_a_guessed_key_is_rejected(visitor: FlaskClient, user: User) -> None:
    for key in ("", "secret", "dev", "change-me", "SECRET_KEY"):
        serializer = URLSafeTimedSerializer(key or " ", salt=f"skymailing.{tokens.RESET}")
        token = serializer.dumps({"user": user.id, "stamp": "0" * 16})
        assert visitor.post(f"/auth/reset/{token}", data=NEW_PASSWORD).status_code == 410


def test_a_reset_link_expires_and_works_once(
    app: Flask, visitor: FlaskClient, user: User, session: Session, links: dict[str, str]
) -> None:
    link = f"/auth/reset/{links[tokens.RESET]}"
    with time_machine.travel(utcnow() + timedelta(minutes=61)):
        assert visitor.post(link, data=NEW_PASSWORD).status_code == 410
    with app.app_context():
        second = tokens.account_token(tokens.RESET, db.session.get_one(User, user.id))
    assert visitor.post(link, data=NEW_PASSWORD).status_code == 302
    for used in (link, f"/auth/reset/{second}"):  # one use invalidates all links
        assert visitor.post(used, data=NEW_PASSWORD).status_code == 410
        assert visitor.get(used).status_code == 410


def test_a_reset_link_neither_signs_in_nor_unblocks(
    app: Flask, visitor: FlaskClient, user: User, session: Session, links: dict[str, str]
) -> None:
    visitor.post(f"/auth/reset/{links[tokens.RESET]}", data=NEW_PASSWORD)
    assert visitor.get("/auth/profile").status_code == 302
    user.blocked_at = utcnow()
    session.flush()
    response = visitor.post("/auth/login", data={"email": user.email, "password": NEW_PASSWORD["password"]})
    assert response.status_code == 403
    assert visitor.get("/auth/profile").status_code == 302


def test_an_unsubscribe_link_is_valid_for_one_address_of_one_owner(
    app: Flask, visitor: FlaskClient, user: User, session: Session
) -> None:
    other = UserFactory.create()
    with app.app_context():
        token = tokens.unsubscribe_token(user.id, "anna@example.com")
        signature = tokens.unsubscribe_token(other.id, "boris@example.com")
    forged = base64.urlsafe_b64encode(f"{other.id}:anna@example.com".encode()).decode().rstrip("=")
    assert visitor.post(f"/u/{forged}.{signature}").status_code == 404
    assert visitor.post(f"/u/{forged}").status_code == 404
    assert visitor.post(f"/u/{token[:-5]}").status_code == 404
    assert (
        visitor.post(f"/u/{token[:8]}{'AA' if token[8:10] != 'AA' else 'BB'}{token[10:]}").status_code == 404
    )
    assert visitor.post(f"/u/{token}").status_code == 200
    (suppression,) = session.scalars(select(Suppression))
    assert (suppression.owner_id, suppression.email_key) == (user.id, "anna@example.com")


def forge_session(app: Flask, content: dict[str, object], key: str) -> str:
    """Return a session cookie signed with `key`, as Flask signs it."""
    interface = SecureCookieSessionInterface()
    impostor = Flask("impostor")
    impostor.secret_key = key
    serializer = interface.get_signing_serializer(impostor)
    assert serializer is not None
    return str(serializer.dumps(content))


@pytest.mark.parametrize("key", ["", "dev", "secret", "x" * 32])
def test_a_session_cookie_signed_with_another_key_is_rejected(
    app: Flask, visitor: FlaskClient, session: Session, key: str
) -> None:
    admin = UserFactory.create(role=Role.ADMIN)
    visitor.set_cookie(
        "session", forge_session(app, {"_user_id": f"{admin.id}.0.", "_fresh": True}, key or " ")
    )
    visitor.set_cookie("remember_token", f"{admin.id}.0.|{'0' * 128}")
    assert visitor.get("/auth/profile").status_code == 302


def test_the_secret_key_alone_is_not_enough_to_forge_a_session(
    app: Flask, visitor: FlaskClient, session: Session
) -> None:
    """Even with SECRET_KEY, an attacker needs the key of an active session."""
    admin = UserFactory.create(role=Role.ADMIN)
    for identity in (
        f"{admin.id}",
        f"{admin.id}.0",
        f"{admin.id}.0.",
        f"{admin.id}.0.guessed",
        "9" * 30 + ".0.x",
        "\0.0.\0",
    ):
        visitor.set_cookie("session", forge_session(app, {"_user_id": identity}, app.config["SECRET_KEY"]))
        assert visitor.get("/auth/profile").status_code == 302


def test_a_session_cookie_contains_no_secret(
    app: Flask, visitor: FlaskClient, user: User, login: Callable[[], None]
) -> None:
    """The cookie is signed but readable, so it must not contain passwords or addresses."""
    login()
    cookie = visitor.get_cookie("session")
    assert cookie is not None
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    content = serializer.loads(cookie.value)
    assert set(content) <= {"_user_id", "_fresh", "_id", "csrf_token", "_flashes"}
    assert PASSWORD not in json.dumps(content)
    assert user.email not in json.dumps(content)


@pytest.fixture
def login(visitor: FlaskClient, user: User) -> Callable[[], None]:
    def log_in() -> None:
        response = visitor.post("/auth/login", data={"email": user.email, "password": PASSWORD})
        assert response.status_code == 302

    return log_in
