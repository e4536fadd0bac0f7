"""Reset and change passwords, and edit the profile."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from skymailing import tokens
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import OutboxLetter, User
from tests.auth.test_register import read_link
from tests.conftest import SignIn
from tests.support.factories import PASSWORD, UserFactory
from tests.support.servers import SmtpServer

# Links, forms and cookies do not depend on the database.
pytestmark = pytest.mark.one_engine

Work = Callable[[], None]
PASSWORD_2 = "three odd words"
NEW = {"password": PASSWORD_2, "password_confirm": PASSWORD_2}


def can_sign_in(app: Flask, user: User, password: str) -> bool:
    response = app.test_client().post("/auth/login", data={"email": user.email, "password": password})
    return response.status_code == 302


@pytest.fixture
def link(app: Flask, user: User, smtp: SmtpServer, work: Work) -> str:
    """Return the reset link that was sent to `user`."""
    assert app.test_client().post("/auth/reset", data={"email": user.email}).status_code == 302
    work()
    (letter,) = smtp.letters
    assert letter.to == user.email
    return read_link(letter)


def test_the_link_sets_a_new_password_and_signs_out_everywhere(
    app: Flask, browser: FlaskClient, visitor: FlaskClient, user: User, link: str
) -> None:
    assert visitor.get(link).status_code == 200
    assert visitor.post(link, data=NEW).status_code == 302
    assert browser.get("/auth/profile").status_code == 302
    assert can_sign_in(app, user, PASSWORD_2)
    assert not can_sign_in(app, user, PASSWORD)


def test_the_link_works_once(app: Flask, visitor: FlaskClient, user: User, link: str) -> None:
    visitor.post(link, data=NEW)
    again = visitor.post(link, data={"password": "four odd words", "password_confirm": "four odd words"})
    assert again.status_code == 410
    assert "already been used" in again.text
    assert can_sign_in(app, user, PASSWORD_2)


def test_the_link_works_for_one_hour(app: Flask, visitor: FlaskClient, user: User, link: str) -> None:
    with time_machine.travel(utcnow() + timedelta(minutes=59)):
        assert visitor.get(link).status_code == 200
    with time_machine.travel(utcnow() + timedelta(minutes=61)):
        response = visitor.post(link, data=NEW)
    assert response.status_code == 410
    assert 'href="/auth/reset"' in response.text
    assert can_sign_in(app, user, PASSWORD)


def test_weak_new_password_is_rejected_and_the_link_still_works(visitor: FlaskClient, link: str) -> None:
    response = visitor.post(link, data={"password": "12345678", "password_confirm": "12345678"})
    assert "too easy to guess" in response.text
    response = visitor.post(link, data=NEW | {"password_confirm": "three odd word"})
    assert "The passwords do not match." in response.text
    assert visitor.post(link, data=NEW).status_code == 302


def test_a_confirmation_link_cannot_set_a_password(
    visitor: FlaskClient, smtp: SmtpServer, work: Work
) -> None:
    visitor.post("/auth/register", data=NEW | {"email": "new@example.com"})
    work()
    token = read_link(smtp.letters[0]).rpartition("/")[2]
    assert visitor.post(f"/auth/reset/{token}", data=NEW).status_code == 410


@pytest.mark.both_engines
def test_reset_confirms_the_address(
    app: Flask, visitor: FlaskClient, session: Session, smtp: SmtpServer, work: Work
) -> None:
    user = UserFactory.create(confirmed_at=None)
    visitor.post("/auth/reset", data={"email": user.email})
    work()
    visitor.post(read_link(smtp.letters[0]), data=NEW)
    assert can_sign_in(app, user, PASSWORD_2)


def test_unknown_and_blocked_accounts_get_the_same_response_and_no_letter(
    app: Flask, session: Session
) -> None:
    addresses = (
        UserFactory.create().email,
        UserFactory.create(blocked_at=utcnow()).email,
        "no-one@example.com",
    )
    pages = []
    for email in addresses:
        browser = app.test_client()
        response = browser.post("/auth/reset", data={"email": email})
        page = browser.get(response.location)
        pages.append((response.status_code, response.location, page.text.replace(email, "")))
    assert pages[0] == pages[1] == pages[2]
    assert [letter.to for letter in session.scalars(select(OutboxLetter))] == [addresses[0]]


def test_a_changed_password_keeps_this_device_signed_in_and_signs_out_the_others(
    app: Flask, sign_in: SignIn, user: User, smtp: SmtpServer, work: Work
) -> None:
    this_device, other_device = sign_in(user), sign_in(user)
    response = this_device.post("/auth/profile/password", data=NEW | {"current_password": PASSWORD})
    assert response.status_code == 302
    assert "Your password has been changed" in this_device.get("/auth/profile").text
    assert other_device.get("/auth/profile").status_code == 302
    assert can_sign_in(app, user, PASSWORD_2)
    work()
    subjects = [letter.parsed["Subject"] for letter in smtp.letters]
    assert subjects.count("Your password was changed") == 1


def test_a_remembered_device_stays_signed_in_after_a_password_change(
    visitor: FlaskClient, user: User
) -> None:
    visitor.post("/auth/login", data={"email": user.email, "password": PASSWORD, "remember": "y"})
    visitor.post("/auth/profile/password", data=NEW | {"current_password": PASSWORD})
    visitor.delete_cookie("session")
    assert visitor.get("/auth/profile").status_code == 200


def test_changing_the_password_needs_the_current_one(app: Flask, browser: FlaskClient, user: User) -> None:
    response = browser.post("/auth/profile/password", data=NEW | {"current_password": "guessed at"})
    assert "This is not your current password." in response.text
    assert can_sign_in(app, user, PASSWORD)
    assert browser.get("/auth/profile").status_code == 200


@pytest.mark.both_engines
def test_profile_stores_name_language_and_time_zone(
    browser: FlaskClient, user: User, session: Session
) -> None:
    data = {"name": "  Мастерская\r\nBcc: x  ", "locale": "ru", "timezone": "Asia/Yekaterinburg"}
    assert browser.post("/auth/profile", data=data).status_code == 302
    session.refresh(user)
    assert (user.name, user.locale, user.timezone) == ("Мастерская Bcc: x", "ru", "Asia/Yekaterinburg")
    assert '<html lang="ru">' in browser.get("/auth/profile").text


@pytest.mark.parametrize("change", [{"timezone": "Mars/Olympus"}, {"locale": "xx"}, {"name": "x" * 201}])
def test_profile_rejects_invalid_values(
    browser: FlaskClient, user: User, session: Session, change: dict[str, str]
) -> None:
    data = {"name": "Other", "locale": "en", "timezone": "UTC"} | change
    assert browser.post("/auth/profile", data=data).status_code == 200
    name = user.name
    session.refresh(user)
    assert user.name == name


def test_the_profile_form_changes_neither_role_nor_address(
    browser: FlaskClient, user: User, session: Session
) -> None:
    email = user.email
    data = {"name": "Other", "locale": "en", "timezone": "UTC", "role": "admin", "email": "x@example.com"}
    browser.post("/auth/profile", data=data)
    session.refresh(user)
    assert (user.name, user.role, user.email) == ("Other", "user", email)


@pytest.mark.both_engines
@pytest.mark.parametrize(("purpose", "path"), [(tokens.RESET, "reset"), (tokens.NEW_EMAIL, "email")])
def test_one_of_two_simultaneous_uses_of_a_link_fails(
    app: Flask, session: Session, user: User, purpose: str, path: str
) -> None:
    with app.app_context():
        token = tokens.account_token(purpose, db.session.get_one(User, user.id), email="new@example.org")
        engine = db.engine
    codes: list[int] = []

    def use() -> None:
        data = NEW | {"current_password": PASSWORD}
        codes.append(app.test_client().post(f"/auth/{path}/{token}", data=data).status_code)

    second = threading.Thread(target=use)
    with engine.connect() as first:
        first.execute(update(User).where(User.id == user.id).values(session_epoch=User.session_epoch + 1))
        second.start()
        second.join(1.0)  # by now it has read the link and is waiting for the lock
        assert second.is_alive()
        first.commit()
    second.join(30)
    assert codes == [410]
