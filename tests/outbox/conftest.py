"""Provide mail server settings, a function that sends letters, and a letter."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import OutboxLetter, User
from skymailing.outbox import services as outbox
from skymailing.outbox import tasks
from tests.support.factories import UserFactory

Send = Callable[..., int]
MailSettings = Any  # Flask-Mail has no types


@pytest.fixture
def settings(app: Flask) -> Iterator[MailSettings]:
    """Yield Flask-Mail's settings, which are restored after the test."""
    state = app.extensions["mail"]
    before = dict(vars(state))
    timeout = app.config["MAIL_TIMEOUT"]
    yield state
    vars(state).update(before)
    app.config["MAIL_TIMEOUT"] = timeout


@pytest.fixture
def send(app: Flask, session: Session) -> Send:
    """Return a function that sends the letters that are due after a given delay."""

    def send_due(after: timedelta = timedelta()) -> int:
        with app.app_context():
            return tasks.send_due_letters(utcnow() + after)

    return send_due


@pytest.fixture
def letter(app: Flask, session: Session) -> OutboxLetter:
    """Add a password-changed letter for a new user."""
    return add_letter(app, session, UserFactory.create(), "password-changed")


def add_letter(app: Flask, session: Session, user: User, template: str, **params: Any) -> OutboxLetter:
    with app.app_context():
        letter_id = outbox.add_letter(db.session.get_one(User, user.id), template, **params).id
        db.session.commit()
    return session.get_one(OutboxLetter, letter_id)
