"""Add account letters to the outbox, in the transaction of the change that they report."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from flask import current_app

from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import OutboxLetter, Sender, UsageKind, User
from skymailing.quotas.checks import use
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

    message_id: int
    sender_name: str = ""
    subject: str = ""
    mark: str = ""  # the variant's label, added to the subject


def add_test_letter(
    user: User,
    test: TestLetterContent,
    client_id: int | None,
    now: datetime,
    *,
    sender: Sender | None = None,
) -> OutboxLetter:
    """Add a letter with the user's message, filled with a client's values; raises LimitReached.

    It is sent from `sender` through that sender's mail server, or else from the service's own address.
    """
    limit = quota_settings().test_letters_per_hour
    use("test_letter_limit", user.id, UsageKind.TEST_LETTERS, limit, 1, now)
    source = {"sender_id": sender.id if sender else None, "client_id": client_id}
    server_id = sender.server_id if sender else None
    values: dict[str, Any] = asdict(test) | source
    return add_letter(user, TEST_LETTER, server_id=server_id, **values)
