"""Test permissions and passwords."""

import pytest
from flask import Flask, Response
from flask_login import login_user
from sqlalchemy.orm import Session
from werkzeug.exceptions import Forbidden, NotFound

from skymailing import security
from skymailing.extensions import db
from skymailing.models import Client, Role, User
from tests.support.factories import ClientFactory, UserFactory

# Passwords do not depend on the database.
pytestmark = pytest.mark.one_engine


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
