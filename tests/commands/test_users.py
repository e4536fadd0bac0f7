"""Test the `flask users` commands."""

import re
from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Role, User
from tests.conftest import SignIn
from tests.support.factories import UserFactory

# Arguments and output do not depend on the database.
pytestmark = pytest.mark.one_engine

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask, session: Session) -> Run:
    def invoke(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=["users", *arguments])

    return invoke


@pytest.mark.both_engines
def test_a_created_user_has_the_role_and_can_sign_in_with_the_printed_password(
    app: Flask, run: Run, session: Session
) -> None:
    result = run("create", "Boss@Example.com", "--role", "manager")
    assert result.exit_code == 0, result.output
    match = re.search(r"Password: (\S+)", result.output)
    user = session.scalar(select(User))
    assert match is not None
    assert user is not None
    assert (user.email, user.role, user.is_confirmed) == ("boss@example.com", Role.MANAGER, True)
    response = app.test_client().post("/auth/login", data={"email": user.email, "password": match[1]})
    assert response.status_code == 302


def test_a_given_password_is_not_printed(run: Run, session: Session) -> None:
    result = run("create", "boss@example.com", "--password", "three odd words")
    assert result.exit_code == 0
    assert "three odd words" not in result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["create", "no-address"], "@"),
        (["create", "почта@example.com"], "only Latin letters"),
        (["create", "a@example.com", "--role", "king"], "king"),
        (["create", "a@example.com", "--password", "short"], "8 characters"),
        (["create", "a@example.com", "--password", "password123"], "too easy to guess"),
        (["create", "taken@example.com"], "already"),
        (["block", "no-one@example.com"], "no account"),
    ],
)
def test_mistakes_are_explained_and_change_nothing(
    run: Run, session: Session, arguments: list[str], expected: str
) -> None:
    UserFactory.create(email="taken@example.com")
    result = run(*arguments)
    assert result.exit_code != 0
    assert expected in result.output
    assert "Traceback" not in result.output
    assert len(session.scalars(select(User)).all()) == 1


def test_block_ends_sessions_and_unblock_allows_sign_in(
    run: Run, sign_in: SignIn, user: User, session: Session
) -> None:
    browser = sign_in(user)
    assert run("block", user.email, "--reason", "spam").exit_code == 0
    assert browser.get("/auth/profile").status_code == 302
    assert run("unblock", user.email).exit_code == 0
    assert browser.get("/auth/profile").status_code == 302, "an ended session is not restored"
    sign_in(user)


@pytest.mark.both_engines
def test_list_shows_address_role_and_state(run: Run, session: Session) -> None:
    UserFactory.create(email="b@example.com", role=Role.CONTENT, confirmed_at=None)
    UserFactory.create(email="a@example.com")
    run("block", "a@example.com", "--reason", "spam")
    lines = [line.split() for line in run("list").output.splitlines()]
    assert lines == [
        ["a@example.com", "user", "blocked:", "spam"],
        ["b@example.com", "content", "unconfirmed"],
    ]
