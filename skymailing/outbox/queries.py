"""Find owners' test letters, and those that were not sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import defer

from skymailing.extensions import db
from skymailing.models import LetterState, OutboxLetter
from skymailing.outbox.services import TEST_LETTER

MOST_TESTS = 10
SHOWN_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class UnsentTest:
    """A test letter that was not sent: the stored reason, and whether it has failed for good."""

    reason: str
    has_failed: bool


def list_tests(user_id: int, message_id: int | None = None) -> Sequence[OutboxLetter]:
    """Return the user's latest test letters, or those of one message."""
    own = (OutboxLetter.user_id == user_id) & (OutboxLetter.template == TEST_LETTER)
    if message_id is not None:
        own &= OutboxLetter.params["message_id"].as_integer() == message_id
    statement = select(OutboxLetter).where(own).options(defer(OutboxLetter.content))
    return db.session.scalars(statement.order_by(OutboxLetter.id.desc()).limit(MOST_TESTS)).all()


def find_unsent_test(user_id: int, message_id: int, now: datetime) -> UnsentTest | None:
    """Return the last test letter of a message if the mail server has not accepted it."""
    last = db.session.scalar(
        select(OutboxLetter)
        .where(
            OutboxLetter.user_id == user_id,
            OutboxLetter.template == TEST_LETTER,
            OutboxLetter.created_at > now - SHOWN_FOR,
            OutboxLetter.params["message_id"].as_integer() == message_id,
        )
        .order_by(OutboxLetter.id.desc())
        .limit(1)
    )
    if last is None or not last.last_error or last.state is LetterState.SENT:
        return None
    return UnsentTest(last.last_error, has_failed=last.state is LetterState.FAILED)
