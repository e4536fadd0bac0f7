"""Test confirmation letters: their sender, server and order, and what they never contain."""

import email
from collections.abc import Callable
from datetime import timedelta
from email import policy
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Brand, LetterState, OutboxLetter, Sender, Signup, SignupForm, User
from skymailing.outbox import claims
from skymailing.outbox.signup_letters import CONFIRM_SIGNUP
from tests.outbox.conftest import add_letter
from tests.signup.people import EMAIL, Visitor, read_link
from tests.support.factories import UserFactory
from tests.support.servers import SmtpServer
from tests.support.signup_factories import SignupFormFactory

Work = Callable[[], None]


@pytest.mark.one_engine
def test_the_letter_contains_nothing_that_the_visitor_typed(
    app: Flask, session: Session, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    form.confirm_subject, form.confirm_body = "Привет!", "Осталось подтвердить.\n<b>Мастерская</b>"
    session.flush()
    spam = "Buy http://spam.example now\r\nBcc: all@mail.example"
    Visitor(app).sign_up(form, full_name=spam, **{"attribute.city": spam})
    work()
    (letter,) = smtp.letters
    assert "spam" not in letter.content.decode().lower()
    assert "Осталось подтвердить." in letter.text
    parsed = email.message_from_bytes(letter.content)
    for part in parsed.walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            assert b"spam.example" not in payload
            assert b"<b>" not in payload or part.get_content_subtype() == "plain"
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["Bcc"] is None


@pytest.mark.one_engine
def test_the_letter_names_the_owner_as_the_page_does(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    user.name = "Ivan Petrov"
    session.add(Brand(owner_id=user.id, name="Tea <Shop>"))
    session.flush()
    Visitor(app).sign_up(form)
    work()
    (letter,) = smtp.letters
    assert "receive emails from Tea <Shop>:" in letter.text
    assert "receive emails from Tea &lt;Shop&gt;:" in letter.html
    assert "Ivan Petrov" not in letter.text + letter.html


@pytest.mark.one_engine
def test_the_letter_comes_from_the_sender_of_the_form(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    sender = Sender(
        owner_id=user.id, name="Shop", address="news@shop.example", address_key="news@shop.example"
    )
    sender.confirmed_at = utcnow()
    session.add(sender)
    session.flush()
    form.sender_id = sender.id
    session.flush()
    Visitor(app).sign_up(form)
    work()
    sender.confirmed_at = None
    session.flush()
    Visitor(app).sign_up(form, email="boris@mail.example")
    work()
    parse = partial(email.message_from_bytes, policy=policy.default)
    first, second = (parse(letter.content) for letter in smtp.letters)
    assert first["From"] == "Shop <news@shop.example>"
    assert "letters@sky.example" in second["From"], "the sender cannot be used any more"
    assert second["Reply-To"] == user.email


@pytest.mark.one_engine
def test_the_letter_has_the_name_that_the_page_shows(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    session.add(Brand(owner_id=user.id, name="Warm Bread"))
    session.flush()
    Visitor(app).sign_up(form)
    work()
    (letter,) = smtp.letters
    assert "Warm Bread <" in email.message_from_bytes(letter.content, policy=policy.default)["From"]
    assert "emails from Warm Bread:" in letter.text


@pytest.mark.one_engine
def test_the_language_is_that_of_the_form(
    app: Flask, session: Session, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    form.language = "ru"
    session.flush()
    page = Visitor(app).get(f"/f/{form.uuid}")
    assert '<html lang="ru"' in page.text
    Visitor(app).sign_up(form)
    work()
    (letter,) = smtp.letters
    assert "Подтвердите" in letter.text
    assert '<html lang="ru"' in Visitor(app).get(read_link(letter)).text


def test_no_letter_is_sent_for_a_request_that_no_longer_exists(
    app: Flask, session: Session, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    Visitor(app).sign_up(form)
    form.is_open = False
    session.flush()
    work()
    assert smtp.letters == []
    letter = session.scalars(select(OutboxLetter)).one()
    session.refresh(letter)
    assert (letter.state, letter.last_error) == (LetterState.FAILED, "signup_gone")


def add_requests(app: Flask, session: Session, form: SignupForm, count: int) -> None:
    """Add due letters of a form without visiting it."""
    now = utcnow() - timedelta(minutes=5)
    for number in range(count):
        key = f"person{number}@{form.uuid}.example"
        expires = now + timedelta(days=7)
        signup = Signup(form_id=form.id, owner_id=form.owner_id, email=key, email_key=key)
        signup.requested_at, signup.expires_at = now, expires
        session.add(signup)
        session.flush()
        session.add(
            OutboxLetter(
                user_id=form.owner_id,
                to=key,
                template=CONFIRM_SIGNUP,
                params={"signup_id": signup.id},
                due_at=now,
            )
        )
    session.flush()


def test_owners_take_turns_and_account_letters_go_first(
    app: Flask, session: Session, form: SignupForm
) -> None:
    add_requests(app, session, form, 50)
    other: SignupForm = SignupFormFactory.create()
    add_requests(app, session, other, 2)
    account = add_letter(app, session, UserFactory.create(), "password-changed")
    tests = add_letter(app, session, UserFactory.create(), "daily-summary")
    batches = []
    with app.app_context():
        for _ in range(4):
            ids = claims.claim_next(utcnow(), 10, None)
            db.session.commit()
            batches.append([session.get_one(OutboxLetter, letter_id) for letter_id in ids])
    assert [letter.id for letter in batches[0]] == [account.id]
    assert sum(letter.user_id == other.owner_id for letter in batches[1]) == 2
    assert all(len(batch) == 10 for batch in batches[1:])
    assert tests.id not in {letter.id for batch in batches for letter in batch}
    assert EMAIL not in {letter.to for batch in batches for letter in batch}
