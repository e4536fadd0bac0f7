"""Find owners' test letters that were not sent."""

from datetime import datetime, timedelta

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import LetterState, OutboxLetter
from skymailing.outbox.services import TEST_LETTER

SHOWN_FOR = timedelta(hours=1)


def find_unsent_test(user_id: int, message_id: int, now: datetime) -> OutboxLetter | None:
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
    return last if last is not None and last.last_error and last.state is not LetterState.SENT else None
