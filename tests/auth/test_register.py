"""Registering and confirming the address."""

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
from skymailing.security import VERIFY, account_token
from tests.support.factories import PASSWORD, UserFactory
from tests.support.servers import Letter, SmtpServer

Work = Callable[[], None]
NEW = {"email": "New@Example.com", "password": "three odd words", "password_confirm": "three odd words"}
ADDRESS = "new@example.com"


def link_in(letter: Letter) -> str:
    """Return the path of the link in a letter to an account."""
    found = re.search(r"http://sky\.example(/auth/\w+/\S+)", letter.text)
    assert found is not None, letter.text
    return found[1]


@pytest.fixture
def link(visitor: FlaskClient, smtp: SmtpServer, work: Work) -> str:
    """The link that somebody who has just registered was sent."""
    assert visitor.post("/auth/register", data=NEW).status_code == 302
    work()
    (letter,) = smtp.letters
    assert letter.to == ADDRESS
    return link_in(letter)


def log_in(browser: FlaskClient) -> int:
    return browser.post("/auth/login", data=NEW | {"email": ADDRESS}).status_code


def test_button_behind_the_link_confirms_and_then_one_signs_in(visitor: FlaskClient, link: str) -> None:
    assert log_in(visitor) == 403
    page = visitor.get(link)
    assert page.status_code == 200
    assert ADDRESS in page.text
    answer = visitor.post(link, follow_redirects=True)
    assert "Your address is confirmed" in answer.text
    assert log_in(visitor) == 302


def test_opening_the_link_alone_confirms_nothing(app: Flask, visitor: FlaskClient, link: str) -> None:
    scanner = app.test_client()
    assert scanner.get(link).status_code == 200
    assert scanner.head(link).status_code == 200
    assert log_in(visitor) == 403


def test_opening_the_link_and_signing_in_confirms(visitor: FlaskClient, link: str, session: Session) -> None:
    visitor.get(link)
    assert log_in(visitor) == 302
    assert session.scalar(select(User)).is_confirmed
    assert visitor.get("/auth/profile").status_code == 200


def test_wrong_password_after_the_link_confirms_nothing(visitor: FlaskClient, link: str, session) -> None:
    visitor.get(link)
    visitor.post("/auth/login", data={"email": ADDRESS, "password": "guessed at"})
    assert not session.scalar(select(User)).is_confirmed


def test_remembered_link_confirms_only_its_own_account(visitor: FlaskClient, link: str, session) -> None:
    other = UserFactory.create(confirmed_at=None)
    visitor.get(link)
    assert visitor.post("/auth/login", data={"email": other.email, "password": PASSWORD}).status_code == 403


@pytest.mark.parametrize("method", ["get", "post"])
def test_second_use_says_so_and_offers_to_sign_in(visitor: FlaskClient, link: str, method: str) -> None:
    visitor.post(link)
    answer = getattr(visitor, method)(link)
    assert answer.status_code == 410
    assert "used already" in answer.text
    assert 'href="/auth/login"' in answer.text


def test_link_works_for_a_day(visitor: FlaskClient, link: str, session: Session) -> None:
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        answer = visitor.post(link)
    assert answer.status_code == 410
    assert "too old" in answer.text
    assert not session.scalar(select(User)).is_confirmed


def test_link_remembered_too_long_does_not_confirm(visitor: FlaskClient, link: str) -> None:
    visitor.get(link)
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        assert log_in(visitor) == 403


def test_damaged_link_says_what_to_do(visitor: FlaskClient, link: str) -> None:
    answer = visitor.post(link[:-3])
    assert answer.status_code == 410
    assert "does not work" in answer.text


def test_link_ignores_the_host_header(visitor: FlaskClient, smtp: SmtpServer, work: Work) -> None:
    visitor.post("/auth/register", data=NEW, headers={"Host": "evil.example"})
    work()
    assert "evil.example" not in smtp.letters[0].text + smtp.letters[0].html
    assert "http://sky.example/auth/verify/" in smtp.letters[0].text


def test_known_address_gets_the_same_answer_and_another_letter(
    app: Flask, smtp: SmtpServer, work: Work, session: Session
) -> None:
    known = UserFactory.create(email="known@example.com")
    before = known.password_hash
    pages = []
    for email in ("known@example.com", "fresh@example.com"):
        browser = app.test_client()
        answer = browser.post("/auth/register", data=NEW | {"email": email})
        page = browser.get(answer.location)
        pages.append((answer.status_code, answer.location, page.text.replace(email, "")))
    assert pages[0] == pages[1]
    work()
    subjects = {letter.to: letter.parsed["Subject"] for letter in smtp.letters}
    assert subjects == {
        "known@example.com": "You have an account already",
        "fresh@example.com": "Confirm your address",
    }
    session.refresh(known)
    assert known.password_hash == before


def test_known_address_is_not_flooded_with_letters(app: Flask, session: Session) -> None:
    UserFactory.create(email=ADDRESS)
    for _ in range(8):
        assert app.test_client().post("/auth/register", data=NEW).status_code == 302
    assert len(session.scalars(select(OutboxLetter)).all()) == 5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"email": "no-address"}, "An e-mail address has an @ sign"),
        ({"email": ""}, "Please enter your e-mail address."),
        ({"email": "a@example.com\r\nBcc: b@example.com"}, "e-mail address"),
        ({"password": "short12", "password_confirm": "short12"}, "at least 8 characters"),
        ({"password": "x" * 1001, "password_confirm": "x" * 1001}, "longer than 1000"),
        ({"password": "Password123", "password_confirm": "Password123"}, "first that are guessed"),
        ({"password": "aaaaaaaabb", "password_confirm": "aaaaaaaabb"}, "first that are guessed"),
        ({"password": ADDRESS, "password_confirm": ADDRESS}, "not your address"),
        ({"password_confirm": "three odd word"}, "The two passwords differ."),
    ],
)
def test_mistakes_are_told_beside_the_field(
    visitor: FlaskClient, session: Session, change: dict[str, str], says: str
) -> None:
    answer = visitor.post("/auth/register", data=NEW | change)
    assert answer.status_code == 200
    assert says in answer.text
    assert session.scalar(select(User)) is None


def test_role_cannot_be_smuggled_in(visitor: FlaskClient, link: str, session: Session) -> None:
    forged = NEW | {"email": "x@example.com", "role": "admin", "confirmed_at": "2026-01-01", "is_active": "1"}
    visitor.post("/auth/register", data=forged)
    user = session.scalar(select(User).where(User.email == "x@example.com"))
    assert (user.role, user.confirmed_at) == (Role.USER, None)


def test_letter_speaks_the_language_of_the_page(visitor: FlaskClient, work: Work, session: Session) -> None:
    visitor.post("/auth/register", data=NEW, headers={"Accept-Language": "ru"})
    assert session.scalar(select(User)).locale == "ru"
    assert session.scalar(select(OutboxLetter)).locale == "ru"


def test_link_can_be_sent_again_after_the_right_password(
    visitor: FlaskClient, link: str, smtp: SmtpServer, work: Work
) -> None:
    log_in(visitor)
    assert visitor.post("/auth/resend").status_code == 302
    work()
    assert len(smtp.letters) == 2
    assert visitor.post(link_in(smtp.letters[1])).status_code == 302


def test_link_is_not_sent_again_for_somebody_who_knows_no_password(
    app: Flask, link: str, smtp: SmtpServer, work: Work
) -> None:
    assert app.test_client().post("/auth/resend", data={"email": ADDRESS}).status_code == 302
    work()
    assert len(smtp.letters) == 1


def test_links_are_never_stored(app: Flask, link: str, session: Session) -> None:
    letter = session.scalar(select(OutboxLetter))
    assert letter.params == {}
    with app.app_context():
        assert account_token(VERIFY, session.scalar(select(User))) not in str(vars(letter))
