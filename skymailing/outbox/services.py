"""Add account letters to the outbox, in the transaction that causes them."""

from typing import Any

from flask import current_app

from skymailing.extensions import db
from skymailing.models import OutboxLetter, User


def add_letter(user: User, template: str, *, to: str = "", **params: Any) -> OutboxLetter:
    """Add a letter to the user's address, or to another one; it is sent after the commit.

    `params` are ids and plain values that JSON can hold. Links and tokens are created when the letter
    is sent, so that none is ever stored.
    """
    db.session.flush()  # gives a new user the id that the letter refers to
    letter = OutboxLetter(
        user_id=user.id,
        to=to or user.email,
        template=template,
        params=params,
        locale=user.locale or current_app.config["BABEL_DEFAULT_LOCALE"],
    )
    db.session.add(letter)
    db.session.flush()
    return letter
