"""Send the outbox: claim due letters, send them outside of any transaction, record the results.

These letters use the same sessions, circuit breakers and rates as mailings' letters. If a worker crashes
before it has recorded the server's reply, the letter is sent again with the same Message-ID. For a
confirmation or a password reset, that is harmless and better than losing the letter.
"""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile

from skymailing import hints
from skymailing.clock import utcnow
from skymailing.db.engine import start_reading
from skymailing.db.retries import write_with_retries
from skymailing.delivery.dispatcher import get_dispatcher
from skymailing.delivery.routing import routes, slow_servers
from skymailing.delivery.routing.owner_pauses import ACCOUNT_LETTERS
from skymailing.delivery.routing.rate_limits import LONG_WAIT
from skymailing.delivery.routing.routes import RouteChoice
from skymailing.delivery.routing.servers import ServerAccess, find_server
from skymailing.delivery.routing.session_pool import NoSession, SessionPool
from skymailing.delivery.smtp.connection import format_error
from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.outbox import claims

logger = logging.getLogger(__name__)

BATCH = 20  # letters that are claimed and recorded together
SERVER_DELETED = "server_deleted"  # as in error_texts


class NoJournal:
    """A journal that records nothing: a letter whose result is lost is sent again."""

    def begin(self, letter: Letter) -> None:
        """Record nothing."""

    def end(self, result: Result) -> None:
        """Record nothing."""


def send_due_letters(now: datetime, should_yield: Callable[[float], bool] = lambda _elapsed: False) -> int:
    """Send the letters that are due, test letters last; return how many the mail servers accepted.

    When `should_yield(elapsed seconds)` is true, the rest is left to the next job.
    """
    start = time.monotonic()
    sent = 0
    for server_id in _list_servers(now):
        # Each window has a new time, so that its letters get the full lease.
        while _has_due(at := now + timedelta(seconds=time.monotonic() - start), server_id):
            count = _send_window(at, server_id)
            sent += count or 0
            # Check this even if the server cannot be used, since finding that out may have taken a long time.
            if should_yield(time.monotonic() - start):
                hints.hint_outbox()
                return sent
            if count is None:
                break
    return sent


def _list_servers(now: datetime) -> Iterator[int | None]:
    """Yield None for the installation's server, then the IDs of owners' servers that have letters to send."""
    yield None
    start_reading()
    servers = claims.find_servers(now)
    db.session.rollback()
    yield from servers


def _has_due(now: datetime, server_id: int | None) -> bool:
    start_reading()
    found = claims.has_due(now, server_id)
    db.session.rollback()
    return found


def _send_window(now: datetime, server_id: int | None) -> int | None:
    """Send some of the due letters, as far as the breakers and rates allow.

    Return how many the server accepted; None if the rest have to wait.
    """
    if server_id is None:
        chosen = routes.choose(utcnow(), ACCOUNT_LETTERS)
        return _send_through(chosen, None, now) if chosen else None
    start_reading()
    server = find_server(db.session.connection(), server_id)
    db.session.rollback()
    if server is None:
        claims.fail(claims.claim_next(now, BATCH, server_id), now, SERVER_DELETED)
        db.session.commit()
        return 0
    with slow_servers.use(server.route, get_dispatcher().holder) as may_use:
        chosen = routes.choose(utcnow(), ACCOUNT_LETTERS, server) if may_use else None
        return _send_through(chosen, server, now) if chosen else None


def _send_through(chosen: RouteChoice, server: ServerAccess | None, now: datetime) -> int | None:
    rates = get_dispatcher().account_rates_of(server)
    rates.apply_memory(chosen.memory, utcnow())
    if not chosen.is_probe and (wait := rates.wait_if_held_back(chosen.route)):
        return 0 if wait < LONG_WAIT else None
    results: list[Result] = []
    try:
        limit = 1 if chosen.is_probe else rates.cap_window(BATCH)
        ids = claims.claim_next(now, limit, server.id if server else None)
        db.session.commit()
        letters = claims.render_claimed(ids, now)
        db.session.commit()
        # If there are no letters, another worker has claimed the due ones.
        is_usable = bool(ids) and (not letters or _hand_over(letters, chosen, server, results, now))
    finally:
        if chosen.is_probe and not results:
            routes.release_probe(chosen.route, utcnow())
    return sum(result.verdict is Verdict.SENT for result in results) if is_usable else None


def _hand_over(
    letters: list[Letter],
    chosen: RouteChoice,
    server: ServerAccess | None,
    results: list[Result],
    now: datetime,
) -> bool:
    """Hand over letters, record and report the results, and return whether the route is usable."""
    dispatcher = get_dispatcher()
    pool, rates = dispatcher.lanes.use(chosen.route, server), dispatcher.account_rates_of(server)
    pool.apply_memory(chosen.memory, utcnow())
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
        # If the results were lost, the letters would be sent again.
        seconds = dispatcher.settings.record_patience_seconds
        write_with_retries(partial(_record, letters, results, now), seconds)
    pool.learn_pace(results, chosen.memory, rates.was_held_back_by_pace)
    pool.learn_pipelining(chosen.memory, utcnow())
    return pool.report_results(results, chosen)


def _connect(pool: SessionPool, letters: list[Letter], now: datetime) -> Pipeline | None:
    """Return open sessions; if there are none, release the letters and return None."""
    dispatcher = get_dispatcher()
    ids = [letter.delivery_id for letter in letters]
    try:
        return pool.connect(dispatcher.sender, dispatcher.journal, is_urgent=True)
    except NoSession as error:
        claims.release(ids, now, now, str(error))
        db.session.commit()
        hints.hint_outbox()
    except OSError as error:
        reason = format_error(error)
        logger.warning("route %s cannot be used for account letters: %s", pool.route, reason)
        pool.report_connection_error(error)
        claims.release(ids, now + claims.SERVER_RETRY_DELAY, now, reason)
        db.session.commit()
    return None


def _record(letters: list[Letter], results: list[Result], now: datetime) -> None:
    db.session.rollback()  # an earlier attempt may have failed halfway
    claims.record(letters, results, now)
    db.session.commit()
