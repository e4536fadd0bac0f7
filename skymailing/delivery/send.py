"""Send a slice of a run: claim, hand over and record, one window of letters at a time."""

import logging
import time
from collections.abc import Callable
from uuid import uuid4

from sqlalchemy import update

from skymailing.clock import utcnow
from skymailing.db.engine import reading_engine
from skymailing.delivery import catching, metrics, plan, reputation
from skymailing.delivery.batch import Batch
from skymailing.delivery.dispatcher import Dispatcher, abandon_dispatcher, get_dispatcher
from skymailing.delivery.ledger import claims
from skymailing.delivery.ledger.claims import Claimed
from skymailing.delivery.ledger.open_runs import OpenRun, load_open_run
from skymailing.delivery.ledger.record import is_dead_address
from skymailing.delivery.routing import routes, slow_servers
from skymailing.delivery.routing.domain_queue import DomainQueue
from skymailing.delivery.routing.rate_limits import LONG_WAIT
from skymailing.delivery.routing.routes import RouteChoice
from skymailing.delivery.routing.servers import ServerAccess
from skymailing.delivery.routing.session_pool import NoSession, SessionPool
from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.delivery.window_letters import Outlet, render_letters
from skymailing.email_addresses import NO_INTERNATIONAL_ADDRESSES
from skymailing.extensions import db
from skymailing.models import Run, RunState, StateReason

logger = logging.getLogger(__name__)


def send_slice(run_id: int, should_yield: Callable[[float], bool]) -> bool:
    """Send letters of a run for a while; return whether more may be due now.

    Stops when `should_yield(elapsed seconds)` is true, at the first fault of the route, or when nothing
    is due. Every claimed letter is recorded before this returns. Raises NoSession.
    """
    started = time.monotonic()
    dispatcher = get_dispatcher()
    try:
        dispatcher.journal.clear()
        while _send_window(run_id, dispatcher):
            if should_yield(time.monotonic() - started):
                return True
    except NoSession:  # before a claim
        raise
    except BaseException:  # including a stop: the sweep recovers a held lease from the journal
        abandon_dispatcher(dispatcher)
        raise
    return _finish(run_id, lambda: should_yield(time.monotonic() - started))


def _finish(run_id: int, should_stop: Callable[[], bool]) -> bool:
    """Finish the run if it is over; return whether closing its letters was interrupted."""
    is_interrupted = False

    def stop() -> bool:
        nonlocal is_interrupted
        is_interrupted = should_stop()
        return is_interrupted

    return not plan.finish_run(run_id, utcnow(), stop) and is_interrupted


def _send_window(run_id: int, dispatcher: Dispatcher) -> bool:
    """Choose a route and send one window through it; return whether another one may follow."""
    now = utcnow()
    with reading_engine().connect() as connection:
        run = load_open_run(connection, run_id, now)
    if run is None:
        return False
    if run.is_caught:
        return _catch(run, dispatcher)
    if run.server_id is None:
        chosen = routes.choose(now, run.owner_id)
        return chosen is not None and _send_through(run, chosen, dispatcher)
    if run.server is None:
        plan.pause_mailing(run.id, StateReason.SERVER_DELETED, "", now)
        return False
    return _send_through_own_server(run, run.server, dispatcher)


def _catch(run: OpenRun, dispatcher: Dispatcher) -> bool:
    """Claim and catch one window of a test key's letters; return whether another one may follow."""
    limit = dispatcher.cap_window(run)
    batch = _claim(run, dispatcher, limit, None)
    if not batch.claimed:
        return False
    catching.catch(run, batch, dispatcher)
    if batch.pause:
        plan.pause_mailing(run.id, *batch.pause, utcnow())
    return not batch.pause and len(batch.claimed) == limit


def _send_through_own_server(run: OpenRun, server: ServerAccess, dispatcher: Dispatcher) -> bool:
    """Send a window through an owner's server, unless it is slow and another worker uses a slow server."""
    with slow_servers.use(server.route, dispatcher.holder) as may_use:
        chosen = routes.choose(utcnow(), run.owner_id, server) if may_use else None
        return chosen is not None and _send_through(run, chosen, dispatcher)


def _send_through(run: OpenRun, chosen: RouteChoice, dispatcher: Dispatcher) -> bool:
    """Claim, hand over and record one window; return whether another one may follow."""
    now, is_probe = utcnow(), chosen.is_probe
    pool, rates = dispatcher.lanes.use(chosen.route, run.server), dispatcher.rates_of(run)
    rates.apply_memory(chosen.memory, now)
    pool.apply_memory(chosen.memory, now)
    if not is_probe and (wait := rates.wait_if_held_back(chosen.route, run.mailing_id)):
        if run.server is None:  # more workers would not make an owner's server faster
            pool.release(only_scarce=True)
        return wait < LONG_WAIT
    if (pipeline := _connect(run, dispatcher, pool, is_probe)) is None:
        return False
    queue = dispatcher.get_domain_queue(run)
    limit = dispatcher.cap_window(run) if chosen.is_free else 1
    batch = _claim(run, dispatcher, limit, queue)
    if not batch.claimed:
        if is_probe:
            routes.release_probe(pool.route, utcnow())
        return queue is not None and queue.wait_for_more()
    _process(run, batch, dispatcher, pool, pipeline)
    is_untried_probe = is_probe and all(map(_is_unsent, batch.results))
    if is_untried_probe:
        routes.release_probe(pool.route, utcnow())
    if queue:
        queue.requeue((claimed.id, claimed.email) for claimed in batch.list_untried())
    dispatcher.adapt(pool, batch.results, time.monotonic() - batch.checked_at, rates.was_held_back)
    pool.learn_pace(batch.results, chosen.memory, rates.was_held_back_by_pace)
    pool.learn_pipelining(chosen.memory, now)
    pool.learn_return_paths(batch.results)
    metrics.count_results(batch.results)
    is_usable = pool.report_results(batch.results, chosen)
    _pause_if_needed(run, batch)
    # A claim that found fewer letters than requested has found the last ones.
    is_last = queue is None and len(batch.claimed) < limit and not batch.list_untried()
    return is_usable and not batch.pause and not is_last and not is_untried_probe


def _pause_if_needed(run: OpenRun, batch: Batch) -> None:
    """Pause the mailing if all its letters fail, and its owner's mailings if too many addresses are dead."""
    if batch.pause:
        plan.pause_mailing(run.id, *batch.pause, utcnow())
    if any(map(is_dead_address, batch.results)):
        reputation.pause_if_needed(run.owner_id, utcnow())


def _connect(run: OpenRun, dispatcher: Dispatcher, pool: SessionPool, is_probe: bool) -> Pipeline | None:
    """Return open sessions with the route's server, or None if it cannot be used.

    A fault is reported to the route's circuit breaker. Raises NoSession.
    """
    if is_probe:
        pool.reset()
    try:
        return pool.connect(dispatcher.choose_envelope_sender(run), dispatcher.journal)
    except NoSession:
        if is_probe:
            routes.release_probe(pool.route, utcnow())
        raise
    except OSError as error:
        logger.warning("route %s cannot be used: %s", pool.route, error)
        pool.report_connection_error(error)
        return None


def _claim(run: OpenRun, dispatcher: Dispatcher, limit: int, queue: DomainQueue | None) -> Batch:
    token = str(uuid4())
    dispatcher.journal.claim(token)
    if queue:
        queue.begin_claim()
    now = utcnow()
    with db.engine.connect() as connection, connection.begin():
        checked_at = time.monotonic()
        claimed = claims.claim(connection, run, token, now + dispatcher.find_lease(run), limit, now, queue)
        if claimed:
            connection.execute(
                update(Run)
                .where(Run.id == run.id, Run.state == RunState.PLANNED)
                .values(state=RunState.SENDING)
            )
    return Batch(token, claimed, checked_at)


def _process(
    run: OpenRun, batch: Batch, dispatcher: Dispatcher, pool: SessionPool, pipeline: Pipeline
) -> None:
    """Hand over the batch and record its results, even if this worker is stopped in between."""
    try:
        _hand_over(run, batch, dispatcher, pool, pipeline)
    except BaseException:  # including a stop or a job timeout: results must be recorded
        batch.add_journaled(dispatcher.journal)
        batch.record(run, pool.route)
        raise
    batch.record(run, pool.route)


def _hand_over(
    run: OpenRun, batch: Batch, dispatcher: Dispatcher, pool: SessionPool, pipeline: Pipeline
) -> None:
    """Hand over as much of the batch as time, rates and the mail server allow."""

    def is_refused(result: Result) -> bool:
        reply = f"{result.code} {result.answer}"
        if result.verdict is Verdict.SENDER_REFUSED:
            # Without its token, the server may accept the return path.
            if result.letter.return_path:
                return True
            batch.stop(StateReason.REFUSED, reply)
        elif (count := dispatcher.rejections.record(run.id, result)) >= dispatcher.rejections.limit:
            batch.stop(StateReason.REJECTED, reply)
            if count > dispatcher.rejections.limit:
                batch.return_last_to_pending()
        return batch.pause is not None

    window = dispatcher.settings.window_seconds
    confirmed = batch.confirm_letters(run, window / 2)
    seconds_left = (run.ends_at - utcnow()).total_seconds()
    until = min(batch.checked_at + window, time.monotonic() + seconds_left)
    if not pipeline.accepts_international:
        confirmed = _fail_international(batch, confirmed)
    outlet = Outlet(pool.route, pool.bounce_address, pipeline.largest_letter)
    letters = render_letters(run, batch, confirmed, dispatcher, outlet)
    pipeline.hand_over(letters, until, batch.results, is_refused)


def _fail_international(batch: Batch, confirmed: list[Claimed]) -> list[Claimed]:
    """Fail letters that this mail server cannot accept (RFC 6531); return the rest.

    Neither the route nor the message is at fault, so they do not count as rejections.
    """
    for claimed in confirmed:
        if not claimed.email.isascii():
            letter = Letter(claimed.id, claimed.attempts + 1, claimed.email, b"")
            batch.results.append(Result(letter, Verdict.FAILED, None, NO_INTERNATIONAL_ADDRESSES))
    return [claimed for claimed in confirmed if claimed.email.isascii()]


def _is_unsent(result: Result) -> bool:
    """Return whether the letter has failed without being handed over."""
    return result.verdict is Verdict.FAILED and result.code is None
