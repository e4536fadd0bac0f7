"""Test that a welcome letter follows the confirmation of a form, without waiting for a sweep."""

from collections.abc import Callable

from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Trigger, User
from tests.sequences.reference import DAY
from tests.signup.people import Visitor, only_link
from tests.support.factories import MessageFactory
from tests.support.sequence_factories import Sequences, days
from tests.support.servers import SmtpServer
from tests.support.signup_factories import SignupFormFactory


def test_a_welcome_letter_follows_the_confirmation(
    app: Flask,
    sequences: Sequences,
    session: Session,
    user: User,
    smtp: SmtpServer,
    work: Callable[[], None],
) -> None:
    form = SignupFormFactory.create(owner=user)
    message = MessageFactory.create(owner=user, subject="Добро пожаловать, {{ name }}")
    sequence = sequences.create(
        days(0, message_id=message.id), days(3), now=utcnow(), trigger=Trigger.FORM, form_id=form.id
    )
    visitor = Visitor(app)
    visitor.sign_up(form)
    work()
    link = only_link(smtp)
    smtp.clear()
    for _ in range(2):
        visitor.post(link, {})
        work()
    (letter,) = smtp.letters
    assert "List-Unsubscribe" in letter.content.decode()
    sequences.sweep(utcnow() + 3 * DAY)
    assert sequences.count_letters(sequence) == [1, 1]
