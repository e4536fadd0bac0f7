"""Claim letters of the outbox, and record their results. The caller commits."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, literal_column, or_, select, update
from sqlalchemy.orm import joinedload

from skymailing.db import leases
from skymailing.db.engine import start_reading
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import LetterState, OutboxLetter
from skymailing.outbox.probes import PROBE
from skymailing.outbox.rendering import render_letter
from skymailing.outbox.services import TEST_LETTER
from skymailing.outbox.signup_letters import CONFIRM_SIGNUP

logger = logging.getLogger(__name__)

# These are sent after all other letters, because no one needs them to sign in, and only a few at a time,
# because rendering one may take long.
LOW_PRIORITY_TEMPLATES = (TEST_LETTER, PROBE, "daily-summary")
LOW_PRIORITY_BATCH = 5
# Strangers trigger these, so they are sent after account letters, and their owners take turns.
SHARED_TEMPLATES = (CONFIRM_SIGNUP,)
LEASE = timedelta(minutes=10)
RETRY_MINUTES = (1, 5, 15, 30, 60, 120, 240)  # the last delay repeats
MAX_ATTEMPTS = 10
SERVER_RETRY_DELAY = timedelta(seconds=15)  # after a fault of the mail server
LIFETIME = timedelta(days=3)  # no one waits longer for a confirmation
ERROR_LENGTH = 500
# Exactly as in the partial index: SQLite does not use it if the states are parameters.
IS_UNSENT: ColumnElement[bool] = literal_column("outbox.state IN ('pending', 'sending')")


def has_due(now: datetime, server_id: int | None) -> bool:
    """Return whether a letter is due that is sent through this mail server, or the installation's if None."""
    # The index's first entry suffices for the waiting letters; with one combined condition, all were read.
    is_over = _is_sent_through(server_id)
    waiting = select(func.min(OutboxLetter.due_at)).where(
        IS_UNSENT, OutboxLetter.state == LetterState.PENDING
    )
    was_due = OutboxLetter.due_at <= now
    lost = exists().where(IS_UNSENT, OutboxLetter.state == LetterState.SENDING, was_due, is_over)
    is_due = or_(waiting.where(is_over).scalar_subquery() <= now, lost.where(OutboxLetter.lease_until < now))
    return bool(db.session.scalar(select(is_due)))


def find_servers(now: datetime) -> Sequence[int]:
    """Return the IDs of owners' mail servers through which due letters are sent."""
    due = select(OutboxLetter.server_id).where(_is_due(now), OutboxLetter.server_id.is_not(None))
    return [server_id for server_id in db.session.scalars(due.distinct()) if server_id is not None]


def claim_next(now: datetime, limit: int, server_id: int | None) -> Sequence[int]:
    """Lease a batch of due letters: account letters first, test letters and summaries last."""
    is_over = _is_sent_through(server_id)
    can_wait = OutboxLetter.template.in_(LOW_PRIORITY_TEMPLATES)
    is_shared = OutboxLetter.template.in_(SHARED_TEMPLATES)
    return (
        _claim_batch(is_over & ~can_wait & ~is_shared, limit, now)
        or _claim_turns(is_over & is_shared, limit, now)
        or _claim_batch(is_over & can_wait, min(limit, LOW_PRIORITY_BATCH), now)
    )


def _claim_turns(condition: ColumnElement[bool], limit: int, now: datetime) -> Sequence[int]:
    """Lease due letters in turns: first the oldest of each owner, then the second oldest of each."""
    turn = func.row_number().over(partition_by=OutboxLetter.user_id, order_by=OutboxLetter.due_at)
    due = select(OutboxLetter.id, OutboxLetter.due_at, turn.label("turn")).where(condition, _is_due(now))
    waiting = due.subquery()
    # Select twice as many, since another worker may be claiming the first ones.
    ranked = select(waiting.c.id).order_by(waiting.c.turn, waiting.c.due_at).limit(2 * limit)
    ids = db.session.scalars(ranked).all()
    if not ids:
        return ()
    places = case({letter_id: place for place, letter_id in enumerate(ids)}, value=OutboxLetter.id)
    return _claim_batch(OutboxLetter.id.in_(ids), limit, now, places)


def render_claimed(ids: Sequence[int], now: datetime) -> list[Letter]:
    """Render the claimed letters; record the result of those that cannot be rendered.

    Rendering only reads, so that other processes can write at the same time on SQLite.
    """
    rendered: list[Letter] = []
    changes: list[Callable[[], None]] = []
    start_reading()
    for letter in _load(ids):
        if letter.attempts > MAX_ATTEMPTS or letter.created_at + LIFETIME < now:
            error = letter.last_error or "not sent in time"
            changes.append(partial(_finish, [letter.id], LetterState.FAILED, now, error))
            continue
        try:
            rendered.append(render_letter(letter))
        except SkyMailingError as error:
            changes.append(partial(_finish, [letter.id], LetterState.FAILED, now, str(error)))
        except Exception:  # a bug in our code: retry until it has been fixed
            logger.exception("Letter %d cannot be rendered", letter.id)
            changes.append(partial(_postpone, letter.id, letter.attempts, now, "letter_failed"))
    db.session.rollback()
    for change in changes:
        change()
    return rendered


def _load(ids: Sequence[int]) -> Sequence[OutboxLetter]:
    return db.session.scalars(
        select(OutboxLetter)
        .where(OutboxLetter.id.in_(ids))
        .order_by(OutboxLetter.id)
        .options(joinedload(OutboxLetter.user))
        .execution_options(populate_existing=True)
    ).all()


def record(letters: list[Letter], results: list[Result], now: datetime) -> None:
    """Record the results, and release the letters that were not started."""
    sent = [result.letter.delivery_id for result in results if result.verdict is Verdict.SENT]
    if sent:
        _finish(sent, LetterState.SENT, now)
        _record_answers(results)
    for result in results:
        letter, reply = result.letter, f"{result.code or ''} {result.answer}".strip()
        match result.verdict:
            case Verdict.SENT:
                pass
            case Verdict.FAILED:
                _finish([letter.delivery_id], LetterState.FAILED, now, reply)
            case Verdict.RELEASED:
                release([letter.delivery_id], now, now, reply)
            case Verdict.ROUTE_FAULT | Verdict.THROTTLED:
                release([letter.delivery_id], now + SERVER_RETRY_DELAY, now, reply)
            case _:
                # Includes a refused sender, which is an error in our settings that can be corrected.
                _postpone(letter.delivery_id, letter.number, now, reply)
    started = {result.letter.delivery_id for result in results}
    if not_started := [letter.delivery_id for letter in letters if letter.delivery_id not in started]:
        release(not_started, now, now, "")


def _record_answers(results: list[Result]) -> None:
    """Keep the mail server's reply to test letters, whose authors see it."""
    answers = {
        result.letter.delivery_id: f"{result.code or ''} {result.answer}".strip()[:ERROR_LENGTH]
        for result in results
        if result.verdict is Verdict.SENT
    }
    tests = OutboxLetter.id.in_(answers) & (OutboxLetter.template == TEST_LETTER)
    answer = case(answers, value=OutboxLetter.id, else_="")
    db.session.execute(
        update(OutboxLetter).where(tests).values(answer=answer).execution_options(synchronize_session=False)
    )


def release(letter_ids: list[int], due_at: datetime, now: datetime, error: str) -> None:
    """Release letters without counting an attempt."""
    _update(
        letter_ids,
        now,
        state=LetterState.PENDING,
        lease_until=None,
        attempts=OutboxLetter.attempts - 1,
        due_at=due_at,
        last_error=error[:ERROR_LENGTH],
    )


def fail(letter_ids: Sequence[int], now: datetime, reason: str) -> None:
    """Give up on claimed letters."""
    _finish(letter_ids, LetterState.FAILED, now, reason)


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a letter is due, or that its lease has expired because a worker died."""
    return or_(
        and_(OutboxLetter.state == LetterState.PENDING, OutboxLetter.due_at <= now),
        and_(OutboxLetter.state == LetterState.SENDING, OutboxLetter.lease_until < now),
    )


def _is_sent_through(server_id: int | None) -> ColumnElement[bool]:
    is_over: ColumnElement[bool] = OutboxLetter.server_id == server_id  # IS NULL for None
    return is_over


def _claim_batch(
    condition: ColumnElement[bool],
    limit: int,
    now: datetime,
    order: ColumnElement[Any] = OutboxLetter.__table__.c.due_at,
) -> Sequence[int]:
    due = (
        select(OutboxLetter.id)
        .where(condition, _is_due(now))
        .order_by(order)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    # This is not a subquery: PostgreSQL may execute one for each row of an UPDATE, and exceed the limit.
    ids = db.session.scalars(due).all()
    return leases.take_lease(
        OutboxLetter,
        OutboxLetter.id.in_(ids),
        now + LEASE,
        state=LetterState.SENDING,
        attempts=OutboxLetter.attempts + 1,
    )


def _finish(letter_ids: Sequence[int], state: LetterState, now: datetime, error: str = "") -> None:
    sent_at = now if state is LetterState.SENT else None
    values = {"sent_at": sent_at, "content": None, "last_error": error[:ERROR_LENGTH]}
    _update(letter_ids, now, state=state, lease_until=None, **values)


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


def _update(letter_ids: Sequence[int], now: datetime, **values: object) -> None:
    """Update the letters that this worker still leases; the end of the lease identifies its claim."""
    leases.change_leased(OutboxLetter, letter_ids, now + LEASE, **values)
