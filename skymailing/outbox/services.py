"""Add account letters to the outbox, in the transaction of the change that they report."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from flask import current_app

from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import OutboxLetter, Sender, UsageKind, User
from skymailing.quotas import letters
from skymailing.quotas.checks import LimitReached, use
from skymailing.settings.quotas import quota_settings

TEST_LETTER = "test-letter"


class SubjectDeleted(UserError):
    """The client, sender or other object of the letter was deleted or changed before it was sent.

    The letter keeps the code as its `last_error`, so that pages can translate it.
    """


def add_letter(
    user: User, template: str, *, to: str = "", locale: str = "", server_id: int | None = None, **params: Any
) -> OutboxLetter:
    """Add a letter to the user's address, or to `to`; it is sent after the commit.

    `locale` defaults to the user's language, and `server_id` to the installation's mail server. `params` are
    IDs and plain values that JSON can represent. Links and tokens are created only when the letter is sent,
    so that they are never stored.
    """
    db.session.flush()  # gives a new user the ID that the letter refers to
    letter = OutboxLetter(
        user_id=user.id,
        to=to or user.email,
        server_id=server_id,
        template=template,
        params=params,
        locale=locale or user.locale or current_app.config["BABEL_DEFAULT_LOCALE"],
    )
    db.session.add(letter)
    db.session.flush()
    return letter


@dataclass(frozen=True, slots=True)
class TestLetterContent:
    """The content of a test letter: a message, whose subject and sender name can be overridden."""

    message_id: int | None  # None: a new message, whose text is not saved yet
    sender_name: str = ""
    subject: str = ""
    mark: str = ""  # the variant's label, added to the subject
    typed: dict[str, str] | None = None  # an unsaved text, in place of the message's


def add_test_letter(
    user: User,
    test: TestLetterContent,
    client_id: int | None,
    now: datetime,
    *,
    sender: Sender | None = None,
    to: str = "",
) -> OutboxLetter:
    """Add a letter with the user's message, filled with a client's values; raises LimitReached.

    It is sent to the user, or to `to`, an address whose reader has agreed. It comes from `sender` through
    that sender's mail server; without a sender, from the service's own address.
    """
    limit = quota_settings().test_letters_per_hour
    use("test_letter_limit", user.id, UsageKind.TEST_LETTERS, limit, 1, now)
    _count_as_letter(user, now)
    source = {"sender_id": sender.id if sender else None, "client_id": client_id}
    server_id = sender.server_id if sender else None
    values: dict[str, Any] = asdict(test) | source
    typed = values.pop("typed")
    letter = add_letter(user, TEST_LETTER, to=to, server_id=server_id, **values)
    letter.content = json.dumps(typed) if typed else None
    db.session.flush()
    return letter


def _count_as_letter(user: User, now: datetime) -> None:
    """Count a test letter like a letter of a mailing; raises LimitReached if no more may be sent now."""
    is_new = letters.is_new(user, now)
    if not letters.reserve(db.session.connection(), user.id, 1, is_new, now):
        reached = letters.find_reached(user, now)
        raise LimitReached("test_letter_letters_used_up", reached.limit.count if reached else 0)
