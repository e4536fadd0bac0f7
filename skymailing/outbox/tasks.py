"""Send the outbox: claim due letters, send them outside of any transaction, record the results.

They go over the same sessions as letters of mailings, and with the same circuit breakers and rates. If a
worker crashes before it has recorded the server's reply, the letter is sent again with the same
Message-ID. For a confirmation or a password reset, that is harmless and better than losing the letter.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import joinedload

from skymailing import hints
from skymailing.clock import utcnow
from skymailing.db import leases
from skymailing.db.patience import write_patiently
from skymailing.delivery.dispatcher import get_dispatcher
from skymailing.delivery.routing import routes
from skymailing.delivery.routing.owner_pauses import ACCOUNT_LETTERS
from skymailing.delivery.routing.rate_limits import LONG_WAIT
from skymailing.delivery.routing.routes import RouteChoice
from skymailing.delivery.routing.session_pool import NoSession, SessionPool
from skymailing.delivery.smtp.connection import format_error
from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import LetterState, OutboxLetter
from skymailing.outbox.rendering import render_letter
from skymailing.outbox.services import TEST_LETTER

logger = logging.getLogger(__name__)

BATCH = 20  # letters that are claimed and recorded together
# Sent after all others: no one needs these to sign in. Few at a time, since rendering one may take long.
PATIENT_TEMPLATES = (TEST_LETTER, "daily-summary")
PATIENT_BATCH = 5
LEASE = timedelta(minutes=10)
RETRY_MINUTES = (1, 5, 15, 30, 60, 120, 240)  # the last delay repeats
MAX_ATTEMPTS = 10
SERVER_RETRY_DELAY = timedelta(seconds=15)  # after a fault of the mail server
LIFETIME = timedelta(days=3)  # no one waits longer for a confirmation
ERROR_LENGTH = 500


class NoJournal:
    """A journal that records nothing: a letter whose result is lost is sent again."""

    def begin(self, letter: Letter) -> None:
        """Record nothing."""

    def end(self, result: Result) -> None:
        """Record nothing."""


def send_due_letters(now: datetime, should_yield: Callable[[float], bool] = lambda _elapsed: False) -> int:
    """Send the letters that are due, test letters last; return how many the server accepted.

    When `should_yield(elapsed seconds)` is true, the rest is left to the next job.
    """
    begun = time.monotonic()
    sent = 0
    # A new time for each window, so that its letters are leased for the whole time.
    while _has_due(moment := now + timedelta(seconds=time.monotonic() - begun)):
        if (count := _send_window(moment)) is None:
            break
        sent += count
        if should_yield(time.monotonic() - begun):
            hints.hint_outbox()
            break
    return sent


def _has_due(now: datetime) -> bool:
    found = db.session.scalar(select(exists().where(_is_due(now))))
    db.session.rollback()
    return bool(found)


def _send_window(now: datetime) -> int | None:
    """Send some of the due letters, as far as the breakers and rates allow.

    Return how many the server accepted; None if the others have to wait.
    """
    chosen = routes.choose(utcnow(), ACCOUNT_LETTERS)
    if chosen is None:
        return None
    rates = get_dispatcher().account_rates
    rates.follow(chosen.memory, utcnow())
    if not chosen.is_probe and (wait := rates.wait_if_held_back(chosen.route)):
        return 0 if wait < LONG_WAIT else None
    results: list[Result] = []
    try:
        ids = _claim_next(now, 1 if chosen.is_probe else rates.cap_window(BATCH))
        letters = _render_claimed(ids, now)
        # Without a letter, another worker has claimed those that are due.
        is_usable = bool(ids) and (not letters or _hand_over(letters, chosen, results, now))
    finally:
        if chosen.is_probe and not results:
            routes.release_probe(chosen.route, utcnow())
    return sum(result.verdict is Verdict.SENT for result in results) if is_usable else None


def _hand_over(letters: list[Letter], chosen: RouteChoice, results: list[Result], now: datetime) -> bool:
    """Hand over letters, and record and report the results; return whether the route is usable."""
    dispatcher = get_dispatcher()
    pool, rates = dispatcher.lanes.use(chosen.route), dispatcher.account_rates
    pool.follow(chosen.memory, utcnow())
    if chosen.is_probe:
        pool.reset()
    if (pipeline := _connect(pool, letters, now)) is None:
        return False
    may_start = partial(rates.allow_account_letter, chosen.route)
    allowed = takewhile(lambda _letter: chosen.is_probe or may_start(), letters)
    until = time.monotonic() + dispatcher.settings.window_seconds
    try:
        pipeline.hand_over(allowed, until, results, journal=NoJournal())
    finally:
        # Without patience, the letters would be sent again.
        patience = dispatcher.settings.record_patience_seconds
        write_patiently(partial(_record, letters, results, now), patience)
    pool.learn_pace(results, chosen.memory, rates.was_held_back_by_pace)
    pool.learn_pipelining(chosen.memory, utcnow())
    return pool.report_results(results, chosen)


def _connect(pool: SessionPool, letters: list[Letter], now: datetime) -> Pipeline | None:
    """Return open sessions; without any, release the letters and return None."""
    dispatcher = get_dispatcher()
    ids = [letter.delivery_id for letter in letters]
    try:
        return pool.connect(dispatcher.sender, dispatcher.journal, is_urgent=True)
    except NoSession as error:
        _release(ids, now, now, str(error))
        db.session.commit()
        hints.hint_outbox()
    except OSError as error:
        reason = format_error(error)
        logger.warning("route %s cannot be used for account letters: %s", pool.route, reason)
        pool.report_connection_error(error)
        _release(ids, now + SERVER_RETRY_DELAY, now, reason)
        db.session.commit()
    return None


def _record(letters: list[Letter], results: list[Result], now: datetime) -> None:
    """Record the results, and release the letters that were not begun."""
    db.session.rollback()  # an earlier attempt may have failed in the middle
    for result in results:
        letter, reply = result.letter, f"{result.code or ''} {result.answer}".strip()
        match result.verdict:
            case Verdict.SENT:
                _finish(letter.delivery_id, LetterState.SENT, now)
            case Verdict.FAILED:
                _finish(letter.delivery_id, LetterState.FAILED, now, reply)
            case Verdict.RELEASED:
                _release([letter.delivery_id], now, now, reply)
            case Verdict.ROUTE_FAULT | Verdict.THROTTLED:
                _release([letter.delivery_id], now + SERVER_RETRY_DELAY, now, reply)
            case _:
                # Also if the sender is refused: a fault in our settings, which can be corrected.
                _postpone(letter.delivery_id, letter.number, now, reply)
    begun = {result.letter.delivery_id for result in results}
    _release([letter.delivery_id for letter in letters if letter.delivery_id not in begun], now, now, "")
    db.session.commit()


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a letter is due, or that its lease has expired because a worker died."""
    return or_(
        and_(OutboxLetter.state == LetterState.PENDING, OutboxLetter.due_at <= now),
        and_(OutboxLetter.state == LetterState.SENDING, OutboxLetter.lease_until < now),
    )


def _claim_next(now: datetime, limit: int) -> Sequence[int]:
    """Lease a batch of due letters: test letters and summaries only when no others are due."""
    is_patient = OutboxLetter.template.in_(PATIENT_TEMPLATES)
    return _claim_batch(~is_patient, limit, now) or _claim_batch(is_patient, min(limit, PATIENT_BATCH), now)


def _claim_batch(condition: ColumnElement[bool], limit: int, now: datetime) -> Sequence[int]:
    due = (
        select(OutboxLetter.id)
        .where(condition, _is_due(now))
        .order_by(OutboxLetter.due_at)
        .limit(limit)
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


def _render_claimed(ids: Sequence[int], now: datetime) -> list[Letter]:
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


def _release(letter_ids: list[int], due_at: datetime, now: datetime, error: str) -> None:
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


def _update(letter_ids: list[int], now: datetime, **values: object) -> None:
    """Update the letters that this worker still leases; the end of the lease identifies the worker."""
    leases.change_leased(OutboxLetter, letter_ids, now + LEASE, **values)
