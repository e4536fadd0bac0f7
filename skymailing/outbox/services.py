"""Account letters: written to an outbox with the change they tell of, sent later by a worker.

A crash between the server's answer and its record repeats a letter under the same Message-ID. For a
confirmation or a reset that is harmless, and better than losing one.
"""

import logging
import smtplib
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import joinedload

from skymailing.db import leases
from skymailing.delivery.smtp.connection import SecureConnection, open_smtp, time_limit
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import LetterState, OutboxLetter, User
from skymailing.outbox.rendering import Parcel, pack
from skymailing.web.urls import public_url

__all__ = ["open_smtp", "post", "public_url", "send_due_letters"]

logger = logging.getLogger(__name__)

BATCH = 20  # letters over one connection
LEASE = timedelta(minutes=10)
RETRY_MINUTES = (1, 5, 15, 30, 60, 120, 240)  # the last one again and again
MAX_ATTEMPTS = 10
SERVER_AWAY = timedelta(seconds=15)  # until the next look at a server that did not let us in
LIFETIME = timedelta(days=3)  # nobody waits longer for a confirmation
ERROR_LENGTH = 500


def post(user: User, template: str, *, to: str = "", **params: Any) -> OutboxLetter:
    """Add a letter to the user's transaction; it leaves after the commit, to their address or to another.

    `params` are ids and plain values, fit for JSON. Links and tokens are made when the letter is
    sent, so that none is ever stored.
    """
    db.session.flush()  # a new user gets the id that the letter names
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


def send_due_letters(now: datetime) -> int:
    """Send what is due and return how many letters the server accepted.

    Works in short transactions of its own: claims with a lease, renders, sends outside of any
    transaction, records each outcome.
    """
    sent = 0
    while ids := _claim(now):
        parcels = _pack_claimed(ids, now)
        try:
            sent += _send_batch(parcels, now)
        except OSError as error:
            logger.warning("The mail server does not take account letters: %s", error)
            break
    return sent


def _claim(now: datetime) -> Sequence[int]:
    """Take a batch of due letters, also such as a dead worker held."""
    due = (
        select(OutboxLetter.id)
        .where(
            or_(
                and_(OutboxLetter.state == LetterState.PENDING, OutboxLetter.due_at <= now),
                and_(OutboxLetter.state == LetterState.SENDING, OutboxLetter.lease_until < now),
            )
        )
        .order_by(OutboxLetter.due_at)
        .limit(BATCH)
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


def _pack_claimed(ids: Sequence[int], now: datetime) -> list[Parcel]:
    """Render the claimed letters; what cannot be rendered is settled here."""
    letters = db.session.scalars(
        select(OutboxLetter)
        .where(OutboxLetter.id.in_(ids))
        .order_by(OutboxLetter.id)
        .options(joinedload(OutboxLetter.user))
        .execution_options(populate_existing=True)
    ).all()
    parcels = []
    for letter in letters:
        if letter.attempts > MAX_ATTEMPTS or letter.created_at + LIFETIME < now:
            _settle(letter.id, LetterState.FAILED, now, f"given up; {letter.last_error}")
            continue
        try:
            parcels.append(pack(letter))
        except SkyMailingError as error:
            _settle(letter.id, LetterState.FAILED, now, str(error))
        except Exception as error:  # a defect of ours: the letter waits for its repair
            logger.exception("Letter %d cannot be rendered", letter.id)
            _postpone(letter.id, letter.attempts, now, f"cannot be rendered: {error!r}")
    db.session.commit()
    return parcels


def _send_batch(parcels: list[Parcel], now: datetime) -> int:
    """Send over one connection; raises OSError when that cannot be opened or breaks."""
    if not parcels:
        return 0
    waiting = list(parcels)
    sent = 0
    started = time.monotonic()
    try:
        with SecureConnection(current_app.extensions["mail"]) as connection:
            while waiting and time.monotonic() - started < LEASE.total_seconds() / 2:
                sent += _send_one(connection, waiting.pop(0), now)
    except Exception as error:
        _give_back(waiting, now, str(error))
        raise
    _give_back(waiting, now, "the server is slow")
    return sent


def _send_one(connection: SecureConnection, parcel: Parcel, now: datetime) -> bool:
    """Hand over one letter and record what came of it; raises when the session is lost."""
    try:
        with time_limit(connection.session, 2 * current_app.config["MAIL_TIMEOUT"]):
            parcel.send_over(connection)
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
        code, answer = _reply(error)
        # A refused sender is our own setting's fault, not the letter's: it can be put right.
        if 500 <= code < 600 and not isinstance(error, smtplib.SMTPSenderRefused):
            _settle(parcel.letter_id, LetterState.FAILED, now, answer)
        else:
            _postpone(parcel.letter_id, parcel.attempts, now, answer)
        db.session.commit()
        return False
    except Exception as error:
        _postpone(parcel.letter_id, parcel.attempts, now, str(error))
        db.session.commit()
        raise
    _settle(parcel.letter_id, LetterState.SENT, now)
    db.session.commit()
    return True


def _reply(error: smtplib.SMTPRecipientsRefused | smtplib.SMTPResponseException) -> tuple[int, str]:
    words: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        ((code, words),) = error.recipients.values()
    else:
        code, words = error.smtp_code, error.smtp_error
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return code, f"{code} {text}"


def _settle(letter_id: int, state: LetterState, now: datetime, error: str = "") -> None:
    sent_at = now if state is LetterState.SENT else None
    _record([letter_id], now, state=state, lease_until=None, sent_at=sent_at, last_error=error[:ERROR_LENGTH])


def _postpone(letter_id: int, attempts: int, now: datetime, error: str) -> None:
    minutes = RETRY_MINUTES[min(attempts, len(RETRY_MINUTES)) - 1]
    _record(
        [letter_id],
        now,
        state=LetterState.PENDING,
        lease_until=None,
        due_at=now + timedelta(minutes=minutes),
        last_error=error[:ERROR_LENGTH],
    )


def _give_back(parcels: list[Parcel], now: datetime, error: str) -> None:
    """Postpone letters that were not tried: the server's trouble costs them no attempt."""
    _record(
        [parcel.letter_id for parcel in parcels],
        now,
        state=LetterState.PENDING,
        lease_until=None,
        attempts=OutboxLetter.attempts - 1,
        due_at=now + SERVER_AWAY,
        last_error=error[:ERROR_LENGTH],
    )
    db.session.commit()


def _record(letter_ids: list[int], now: datetime, **values: object) -> None:
    """Change letters that are still ours: the lease's end is its mark."""
    leases.change_leased(OutboxLetter, letter_ids, now + LEASE, **values)
