"""Send the outbox: claim due letters, send them outside of any transaction, record each result.

If a worker crashes before it has recorded the server's reply, the letter is sent again with the same
Message-ID. For a confirmation or a password reset, that is harmless and better than losing the letter.
"""

import logging
import smtplib
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import joinedload

from skymailing.db import leases
from skymailing.delivery.smtp.connection import SecureConnection, time_limit
from skymailing.delivery.smtp.replies import decode_reply
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import LetterState, OutboxLetter
from skymailing.outbox.rendering import RenderedLetter, render_letter
from skymailing.outbox.services import TEST_LETTER

logger = logging.getLogger(__name__)

BATCH = 20  # letters over one connection
# Sent after all others: no one needs these to sign in. Few at a time, since rendering one may take long.
PATIENT_TEMPLATES = (TEST_LETTER, "daily-summary")
PATIENT_BATCH = 5
LEASE = timedelta(minutes=10)
RETRY_MINUTES = (1, 5, 15, 30, 60, 120, 240)  # the last delay repeats
MAX_ATTEMPTS = 10
SERVER_RETRY_DELAY = timedelta(seconds=15)  # after the connection has failed
LIFETIME = timedelta(days=3)  # no one waits longer for a confirmation
ERROR_LENGTH = 500


def send_due_letters(now: datetime) -> int:
    """Send the letters that are due, test letters last; return how many the server accepted."""
    sent = 0
    is_patient = OutboxLetter.template.in_(PATIENT_TEMPLATES)
    while ids := _claim_batch(~is_patient, BATCH, now) or _claim_batch(is_patient, PATIENT_BATCH, now):
        letters = _render_claimed(ids, now)
        try:
            sent += _send_batch(letters, now)
        except OSError as error:
            logger.warning("The mail server does not accept account letters: %s", error)
            break
    return sent


def _claim_batch(condition: ColumnElement[bool], size: int, now: datetime) -> Sequence[int]:
    """Lease a batch of due letters, including those whose lease has expired because a worker died."""
    due = (
        select(OutboxLetter.id)
        .where(
            condition,
            or_(
                and_(OutboxLetter.state == LetterState.PENDING, OutboxLetter.due_at <= now),
                and_(OutboxLetter.state == LetterState.SENDING, OutboxLetter.lease_until < now),
            ),
        )
        .order_by(OutboxLetter.due_at)
        .limit(size)
        .with_for_update(skip_locked=True)
    )
    ids = leases.take_lease(
        OutboxLetter,
        OutboxLetter.id.in_(due),
        now + LEASE,
        state=LetterState.SENDING,
        attempts=OutboxLetter.attempts + 1,
    )
    db.session.commit()
    return ids


def _render_claimed(ids: Sequence[int], now: datetime) -> list[RenderedLetter]:
    """Render the claimed letters; record the result of those that cannot be rendered."""
    letters = db.session.scalars(
        select(OutboxLetter)
        .where(OutboxLetter.id.in_(ids))
        .order_by(OutboxLetter.id)
        .options(joinedload(OutboxLetter.user))
        .execution_options(populate_existing=True)
    ).all()
    rendered = []
    for letter in letters:
        if letter.attempts > MAX_ATTEMPTS or letter.created_at + LIFETIME < now:
            _finish(letter.id, LetterState.FAILED, now, f"given up; {letter.last_error}")
            continue
        try:
            rendered.append(render_letter(letter))
        except SkyMailingError as error:
            _finish(letter.id, LetterState.FAILED, now, str(error))
        except Exception as error:  # a bug in our code: retry until it has been fixed
            logger.exception("Letter %d cannot be rendered", letter.id)
            _postpone(letter.id, letter.attempts, now, f"cannot be rendered: {error!r}")
    db.session.commit()
    return rendered


def _send_batch(letters: list[RenderedLetter], now: datetime) -> int:
    """Send letters over one connection; return how many the server accepted.

    Raises OSError if the connection cannot be opened or breaks.
    """
    if not letters:
        return 0
    unsent = list(letters)
    sent = 0
    started = time.monotonic()
    try:
        with SecureConnection(current_app.extensions["mail"]) as connection:
            while unsent and time.monotonic() - started < LEASE.total_seconds() / 2:
                sent += _send_one(connection, unsent.pop(0), now)
    except Exception as error:
        _release(unsent, now, str(error))
        raise
    _release(unsent, now, "the server is slow")
    return sent


def _send_one(connection: SecureConnection, letter: RenderedLetter, now: datetime) -> bool:
    """Send one letter and record the result. Raises if the connection is lost."""
    try:
        with time_limit(connection.session, 2 * current_app.config["MAIL_TIMEOUT"]):
            letter.send(connection)
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
        code, reply = _reply_of(error)
        # A refused sender is a fault in our settings, which can be corrected, not in the letter.
        if 500 <= code < 600 and not isinstance(error, smtplib.SMTPSenderRefused):
            _finish(letter.letter_id, LetterState.FAILED, now, reply)
        else:
            _postpone(letter.letter_id, letter.attempts, now, reply)
        db.session.commit()
        return False
    except Exception as error:
        _postpone(letter.letter_id, letter.attempts, now, str(error))
        db.session.commit()
        raise
    _finish(letter.letter_id, LetterState.SENT, now)
    db.session.commit()
    return True


def _reply_of(error: smtplib.SMTPRecipientsRefused | smtplib.SMTPResponseException) -> tuple[int, str]:
    text: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        ((code, text),) = error.recipients.values()
    else:
        code, text = error.smtp_code, error.smtp_error
    decoded = decode_reply(text) if isinstance(text, bytes) else text
    return code, f"{code} {decoded}"


def _finish(letter_id: int, state: LetterState, now: datetime, error: str = "") -> None:
    sent_at = now if state is LetterState.SENT else None
    _update([letter_id], now, state=state, lease_until=None, sent_at=sent_at, last_error=error[:ERROR_LENGTH])


def _postpone(letter_id: int, attempts: int, now: datetime, error: str) -> None:
    minutes = RETRY_MINUTES[min(attempts, len(RETRY_MINUTES)) - 1]
    _update(
        [letter_id],
        now,
        state=LetterState.PENDING,
        lease_until=None,
        due_at=now + timedelta(minutes=minutes),
        last_error=error[:ERROR_LENGTH],
    )


def _release(letters: list[RenderedLetter], now: datetime, error: str) -> None:
    """Release letters that were not tried; a server failure does not count as an attempt."""
    _update(
        [letter.letter_id for letter in letters],
        now,
        state=LetterState.PENDING,
        lease_until=None,
        attempts=OutboxLetter.attempts - 1,
        due_at=now + SERVER_RETRY_DELAY,
        last_error=error[:ERROR_LENGTH],
    )
    db.session.commit()


def _update(letter_ids: list[int], now: datetime, **values: object) -> None:
    """Update the letters that this worker still leases; the end of the lease identifies the worker."""
    leases.change_leased(OutboxLetter, letter_ids, now + LEASE, **values)
