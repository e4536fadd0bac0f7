"""Send webhook calls in a thread that runs alongside a worker's jobs, and record the results.

Mailings do not wait for webhooks: the thread mostly waits for the network, and while letters are being sent
it pauses between batches. One worker at a time does this. If it dies, the leases of its calls expire, and
the calls are sent again with the same IDs.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from uuid import uuid4

from flask import current_app
from sqlalchemy import ColumnElement, exists, literal_column, select

from skymailing import counters, hints, queue, worker
from skymailing.background import BackgroundTask
from skymailing.clock import utcnow
from skymailing.db.engine import start_reading
from skymailing.db.retries import write_with_retries
from skymailing.extensions import db
from skymailing.models import Delivery
from skymailing.webhooks import claims, letters
from skymailing.webhooks.claims import TurnResult
from skymailing.webhooks.lane import MAX_CALLS, Lane

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5  # between two queries while no call ends
LINGER_SECONDS = 7.0  # for which the thread waits for more calls, such as the first retries
LEASE_SECONDS = 30  # after which a worker that sends calls counts as dead
RENEWAL_SECONDS = 10.0
RECORD_SECONDS = 30.0  # for retries while the database is unavailable
# While letters are being sent: the calls per round, and the pause after it.
POLITE_CALLS = 50
POLITE_PAUSE = 0.2
POLITE_SECONDS = 3.0  # after letters were last seen, because there are gaps between their windows
# The same text as in the index: with a parameter, the databases would not use it.
IS_SENDING: ColumnElement[bool] = literal_column("deliveries.state = 'sending'")


def send_due_calls(linger_seconds: float = 0.0) -> None:
    """Send calls until none has been due for `linger_seconds`, unless another worker is doing this."""
    holder = uuid4().hex
    if not queue.hold_lease(hints.WEBHOOKS, holder, LEASE_SECONDS):
        return
    lane = Lane(current_app.config["WEBHOOKS_PRIVATE_NETWORKS"], worker.stop_is_requested)
    try:
        _run(lane, partial(queue.hold_lease, hints.WEBHOOKS, holder, LEASE_SECONDS), linger_seconds)
    finally:
        lane.close()
        queue.end_lease(hints.WEBHOOKS, holder)


def _run(lane: Lane, renew: Callable[[], bool], linger_seconds: float) -> None:
    last_work = renewed = time.monotonic()
    polite_until = 0.0
    while True:
        now = time.monotonic()
        if now - renewed > RENEWAL_SECONDS:
            if not renew():
                return
            renewed = now
        may_start = not worker.stop_is_requested()
        if _are_letters_being_sent():
            polite_until = now + POLITE_SECONDS
        is_polite = now < polite_until
        is_waiting = may_start and _start_turns(lane, POLITE_CALLS if is_polite else MAX_CALLS)
        if lane.is_busy:
            record(lane.collect(POLL_SECONDS))
            last_work = time.monotonic()
        elif is_waiting:
            time.sleep(POLL_SECONDS)
            last_work = time.monotonic()
        elif not may_start or time.monotonic() - last_work >= linger_seconds:
            return
        else:
            time.sleep(POLL_SECONDS)
        if is_polite:
            time.sleep(POLITE_PAUSE)


def _are_letters_being_sent() -> bool:
    """Return whether a worker is sending letters, which take precedence."""
    start_reading()
    found = db.session.scalar(select(exists().where(IS_SENDING).select_from(Delivery)))
    db.session.rollback()
    return bool(found)


def _start_turns(lane: Lane, max_calls: int) -> bool:
    """Claim and start up to `max_calls` due calls; return whether letters remain to be reported."""
    has_letters = _add_letter_calls()
    start_reading()
    wanted = lane.choose(claims.list_due_endpoints(utcnow()), max_calls)
    db.session.rollback()
    if not wanted:
        return has_letters
    claimed = claims.claim(wanted, utcnow())
    db.session.commit()
    for turn in claimed:
        lane.start(turn)
    return has_letters


def _add_letter_calls() -> bool:
    """Add the next calls about letters; return whether there are any, even incomplete ones."""
    start_reading()
    waiting = letters.list_waiting_endpoints()
    db.session.rollback()
    for endpoint_id in waiting:
        letters.add_call(endpoint_id, utcnow())
        db.session.commit()
    return bool(waiting)


def record(results: Sequence[TurnResult]) -> None:
    """Record the results of turns; hint that the outbox has letters if endpoints were disabled."""
    if results:
        write_with_retries(partial(_record, results), RECORD_SECONDS)


def _record(results: Sequence[TurnResult]) -> None:
    db.session.rollback()  # an earlier attempt may have failed halfway
    has_letters = claims.record(results, utcnow())
    db.session.commit()
    counters.add(_count_outcomes(results))
    if has_letters:
        hints.hint_outbox()


def _count_outcomes(results: Sequence[TurnResult]) -> Counter[str]:
    """Return the numbers of calls for /metrics."""
    outcomes = (outcome for result in results for outcome in result.outcomes)
    return Counter(f"webhook_calls:{'accepted' if outcome.is_delivered else 'fault'}" for outcome in outcomes)


def has_work() -> bool:
    """Return whether calls are due, or letters can be reported."""
    letters.rewind_reused()
    db.session.commit()
    start_reading()
    found = bool(claims.list_due_endpoints(utcnow()) or letters.list_waiting_endpoints())
    db.session.rollback()
    return found


SERVING = BackgroundTask("sending calls of webhooks", lambda: send_due_calls(LINGER_SECONDS))
