"""Find owners' test letters that were not sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import LetterState, OutboxLetter
from skymailing.outbox.services import TEST_LETTER

SHOWN_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class UnsentTest:
    """A test letter that was not sent: the stored reason, and whether no attempt follows."""

    reason: str
    has_failed: bool


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
