"""Register an account and confirm its address."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import OutboxLetter, Role, User
from skymailing.tokens import VERIFY, account_token
from tests.support.factories import PASSWORD, UserFactory
from tests.support.servers import Letter, SmtpServer

# Links and forms do not depend on the database.
pytestmark = pytest.mark.one_engine

Work = Callable[[], None]
NEW = {"email": "New@Example.com", "password": "three odd words"}
ADDRESS = "new@example.com"


def read_link(letter: Letter) -> str:
    """Return the path of the link in an account letter."""
    found = re.search(r"http://sky\.example(/(?:auth|senders)/\w+/\S+)", letter.text)
    assert found is not None, letter.text
    return found[1]


@pytest.fixture
def link(visitor: FlaskClient, smtp: SmtpServer, work: Work) -> str:
    """Register an account and return the link that was sent to it."""
    assert visitor.post("/auth/register", data=NEW).status_code == 302
    work()
    (letter,) = smtp.letters
    assert letter.to == ADDRESS
    return read_link(letter)


def log_in(browser: FlaskClient) -> int:
    return browser.post("/auth/login", data=NEW | {"email": ADDRESS}).status_code


@pytest.mark.both_engines
def test_the_password_on_the_linked_page_confirms_the_address_and_signs_in(
    visitor: FlaskClient, link: str, session: Session
) -> None:
    assert log_in(visitor) == 403
    page = visitor.get(link)
    assert page.status_code == 200
    assert ADDRESS in page.text
    response = visitor.post(link, data={"password": NEW["password"]})
    assert (response.status_code, response.location) == (302, "/")
    assert session.scalars(select(User)).one().is_confirmed
    assert visitor.get("/auth/profile").status_code == 200


def test_opening_the_link_confirms_nothing(app: Flask, visitor: FlaskClient, link: str) -> None:
    scanner = app.test_client()
    assert scanner.get(link).status_code == 200
    assert scanner.head(link).status_code == 200
    assert log_in(visitor) == 403


@pytest.mark.parametrize("data", [{}, {"password": ""}, {"password": "guessed at"}])
def test_the_link_without_the_password_confirms_nothing(
    app: Flask, visitor: FlaskClient, link: str, session: Session, data: dict[str, str]
) -> None:
    """Someone else may have registered this address and be waiting for its owner to press the button."""
    owner = app.test_client()
    response = owner.post(link, data=data)
    assert response.status_code == 200
    assert f'href="{link}/password"' in response.text
    assert not session.scalars(select(User)).one().is_confirmed
    assert log_in(visitor) == 403


@pytest.mark.both_engines
def test_the_owner_of_the_mailbox_can_replace_the_password(
    app: Flask, visitor: FlaskClient, link: str, session: Session
) -> None:
    owner, own = app.test_client(), "my own pass phrase"
    assert ADDRESS in owner.get(f"{link}/password").text
    assert not session.scalars(select(User)).one().is_confirmed
    response = owner.post(f"{link}/password", data={"password": own, "password_confirm": own})
    assert (response.status_code, response.location) == (302, "/auth/login")
    assert log_in(visitor) == 200, "the password chosen at registration is wrong now"
    assert owner.post("/auth/login", data={"email": ADDRESS, "password": own}).status_code == 302
    for page in (link, f"{link}/password"):
        assert owner.get(page).status_code == 410


def test_a_weak_password_does_not_replace_the_first_one(
    visitor: FlaskClient, link: str, session: Session
) -> None:
    response = visitor.post(f"{link}/password", data={"password": "short", "password_confirm": "short"})
    assert "at least 8 characters" in response.text
    assert not session.scalars(select(User)).one().is_confirmed


def test_a_blocked_user_confirms_the_address_but_is_not_signed_in(
    visitor: FlaskClient, link: str, session: Session
) -> None:
    session.scalars(select(User)).one().blocked_at = utcnow()
    session.flush()
    assert visitor.post(link, data=NEW).status_code == 403
    assert visitor.get("/auth/profile").status_code == 302


def test_signing_in_after_opening_the_link_confirms_the_address(
    visitor: FlaskClient, link: str, session: Session
) -> None:
    visitor.get(link)
    assert log_in(visitor) == 302
    assert session.scalars(select(User)).one().is_confirmed
    assert visitor.get("/auth/profile").status_code == 200


def test_wrong_password_after_the_link_confirms_nothing(
    visitor: FlaskClient, link: str, session: Session
) -> None:
    visitor.get(link)
    visitor.post("/auth/login", data={"email": ADDRESS, "password": "guessed at"})
    assert not session.scalars(select(User)).one().is_confirmed


def test_an_opened_link_confirms_only_its_own_account(
    visitor: FlaskClient, link: str, session: Session
) -> None:
    other = UserFactory.create(confirmed_at=None)
    visitor.get(link)
    assert visitor.post("/auth/login", data={"email": other.email, "password": PASSWORD}).status_code == 403


@pytest.mark.parametrize("method", ["get", "post"])
def test_second_use_of_the_link_offers_to_sign_in(visitor: FlaskClient, link: str, method: str) -> None:
    visitor.post(link, data=NEW)
    response = getattr(visitor, method)(link)
    assert response.status_code == 410
    assert "already been used" in response.text
    assert 'href="/auth/login"' in response.text


def test_link_works_for_a_day(visitor: FlaskClient, link: str, session: Session) -> None:
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        response = visitor.post(link, data=NEW)
    assert response.status_code == 410
    assert "has expired" in response.text
    assert not session.scalars(select(User)).one().is_confirmed


def test_link_opened_a_day_ago_does_not_confirm(visitor: FlaskClient, link: str) -> None:
    visitor.get(link)
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        assert log_in(visitor) == 403


def test_damaged_link_is_reported(visitor: FlaskClient, link: str) -> None:
    response = visitor.post(link[:-3])
    assert response.status_code == 410
    assert "does not work" in response.text


def test_link_ignores_the_host_header(visitor: FlaskClient, smtp: SmtpServer, work: Work) -> None:
    visitor.post("/auth/register", data=NEW, headers={"Host": "evil.example"})
    work()
    assert "evil.example" not in smtp.letters[0].text + smtp.letters[0].html
    assert "http://sky.example/auth/verify/" in smtp.letters[0].text


@pytest.mark.both_engines
def test_a_known_address_gets_the_same_response_and_a_different_letter(
    app: Flask, smtp: SmtpServer, work: Work, session: Session
) -> None:
    known = UserFactory.create(email="known@example.com")
    before = known.password_hash
    pages = []
    for email in ("known@example.com", "fresh@example.com"):
        browser = app.test_client()
        response = browser.post("/auth/register", data=NEW | {"email": email})
        page = browser.get(response.location)
        pages.append((response.status_code, response.location, page.text.replace(email, "")))
    assert pages[0] == pages[1]
    work()
    subjects = {letter.to: letter.parsed["Subject"] for letter in smtp.letters}
    assert subjects == {
        "known@example.com": "You already have an account",
        "fresh@example.com": "Confirm your email address",
    }
    session.refresh(known)
    assert known.password_hash == before


@pytest.mark.both_engines
def test_known_address_is_not_flooded_with_letters(app: Flask, session: Session) -> None:
    UserFactory.create(email=ADDRESS)
    for _ in range(8):
        assert app.test_client().post("/auth/register", data=NEW).status_code == 302
    assert len(session.scalars(select(OutboxLetter)).all()) == 5


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"email": "no-address"}, "An email address has an @ sign"),
        ({"email": ""}, "Please enter your email address."),
        ({"email": "a@example.com\r\nBcc: b@example.com"}, "email address"),
        ({"password": "short12"}, "at least 8 characters"),
        ({"password": "x" * 1001}, "longer than 1000"),
        ({"password": "Password123"}, "too easy to guess"),
        ({"password": "aaaaaaaabb"}, "too easy to guess"),
        ({"password": ADDRESS}, "differs from your email address"),
    ],
)
def test_errors_are_shown_next_to_the_field(
    visitor: FlaskClient, session: Session, change: dict[str, str], error: str
) -> None:
    response = visitor.post("/auth/register", data=NEW | change)
    assert response.status_code == 200
    assert error in response.text
    assert session.scalar(select(User)) is None


def test_forged_fields_cannot_set_the_role(visitor: FlaskClient, link: str, session: Session) -> None:
    forged = NEW | {"email": "x@example.com", "role": "admin", "confirmed_at": "2026-01-01", "is_active": "1"}
    visitor.post("/auth/register", data=forged)
    user = session.scalars(select(User).where(User.email == "x@example.com")).one()
    assert (user.role, user.confirmed_at) == (Role.USER, None)


def test_the_letter_is_in_the_language_of_the_page(
    visitor: FlaskClient, work: Work, session: Session
) -> None:
    visitor.post("/auth/register", data=NEW, headers={"Accept-Language": "ru"})
    assert session.scalars(select(User)).one().locale == "ru"
    assert session.scalars(select(OutboxLetter)).one().locale == "ru"


def test_link_can_be_sent_again_after_the_right_password(
    visitor: FlaskClient, link: str, smtp: SmtpServer, work: Work
) -> None:
    log_in(visitor)
    assert visitor.post("/auth/resend").status_code == 302
    work()
    assert len(smtp.letters) == 2
    assert visitor.post(read_link(smtp.letters[1]), data=NEW).status_code == 302


def test_link_is_not_sent_again_without_the_password(
    app: Flask, link: str, smtp: SmtpServer, work: Work
) -> None:
    assert app.test_client().post("/auth/resend", data={"email": ADDRESS}).status_code == 302
    work()
    assert len(smtp.letters) == 1


@pytest.mark.both_engines
def test_links_are_never_stored(app: Flask, link: str, session: Session) -> None:
    letter = session.scalars(select(OutboxLetter)).one()
    assert letter.params == {}
    with app.app_context():
        assert account_token(VERIFY, session.scalars(select(User)).one()) not in str(vars(letter))


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("Asia/Yekaterinburg", "Asia/Yekaterinburg"),
        ("Asia/Calcutta", "Asia/Calcutta"),
        ("Mars/Olympus", "UTC"),
        ("localtime", "UTC"),
        ("", "UTC"),
    ],
)
def test_a_new_account_has_the_time_zone_of_the_browser(
    visitor: FlaskClient, session: Session, sent: str, stored: str
) -> None:
    visitor.post("/auth/register", data=NEW | {"timezone": sent})
    assert session.scalars(select(User.timezone).where(User.email == ADDRESS)).one() == stored
