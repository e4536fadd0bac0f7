"""Send a slice of a run: claim, hand over and record, one window of letters at a time."""

import logging
import time
from collections.abc import Callable, Iterator
from email.utils import parseaddr
from pathlib import Path
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import update

from skymailing.clock import utcnow
from skymailing.db.engine import reading_engine
from skymailing.delivery import metrics, plan
from skymailing.delivery.batch import Batch
from skymailing.delivery.journal import WorkerJournal
from skymailing.delivery.ledger import claims
from skymailing.delivery.ledger.claims import Claimed, OpenRun
from skymailing.delivery.rendering.letter import Content, LetterTemplate, Recipient, Sender, TemplateError
from skymailing.delivery.routing import routes
from skymailing.delivery.routing.domain_queue import DomainQueue
from skymailing.delivery.routing.rate_limits import RateLimits
from skymailing.delivery.routing.rejections import Rejections
from skymailing.delivery.routing.session_pool import SessionPool
from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.models import Run, RunState, StateReason
from skymailing.security import unsubscribe_token
from skymailing.settings.engine import engine_settings
from skymailing.web.urls import unsubscribe_url

logger = logging.getLogger(__name__)

MAX_DOMAIN_QUEUES = 4  # runs for which a worker remembers its position


class Dispatcher:
    """What a worker keeps between slices: its journal, its sessions, and what it has learned."""

    def __init__(self, data_dir: Path, max_sessions: int, sender: str) -> None:
        self.journal = WorkerJournal(data_dir / "journal")
        self.sender = sender
        self.settings = engine_settings()
        self.window = self.settings.first_window
        self.pools = {name: SessionPool(name, max_sessions) for name in routes.list_configured()}
        self._template: tuple[UUID, LetterTemplate] | None = None
        self._queues: dict[UUID, DomainQueue] = {}
        self.rejections = Rejections(self.settings.most_equal_rejections)
        config = current_app.config
        self.rates = RateLimits(
            config["MAIL_RATE"], config["MAIL_RATE_PER_MAILING"], config["MAIL_RATE_PER_DOMAIN"]
        )

    def template(self, run: OpenRun) -> LetterTemplate:
        """Return the run's content, compiled at first use."""
        # Identified by UUID, since SQLite may reuse the ID of a deleted run.
        if self._template is None or self._template[0] != run.uuid:
            content = Content(run.subject, run.format, run.body)
            sender = Sender(run.sender_name, self.sender, run.reply_to)
            list_id = f"mailing-{run.mailing_id}.{self.sender.rpartition('@')[2]}"
            self._template = run.uuid, LetterTemplate(content, sender, run.uuid, list_id)
        return self._template[1]

    def domain_queue(self, run: OpenRun) -> DomainQueue | None:
        """Return this worker's position in the run's queue; None if domains have no limit."""
        if not self.rates.per_domain:
            return None
        # Moved to the end, so that the least recently used one is dropped.
        queue = self._queues.pop(run.uuid, None) or DomainQueue(run.id, self.rates)
        self._queues[run.uuid] = queue
        if len(self._queues) > MAX_DOMAIN_QUEUES:
            del self._queues[next(iter(self._queues))]
        return queue

    def close(self) -> None:
        """Close the sessions and the journal; only when no lease is held."""
        for pool in self.pools.values():
            pool.disconnect()
        self.journal.close()

    def adapt(self, pool: SessionPool, results: list[Result], seconds: float) -> None:
        """Adapt the number of sessions and the window size to the last window."""
        pool.concurrency.adjust(results)
        if seconds > self.settings.window_seconds:
            self.window = max(self.settings.first_window, self.window // 2)
        elif seconds < self.settings.window_seconds / 2:
            self.window = min(self.settings.largest_window, self.window * 2)


def get_dispatcher() -> Dispatcher:
    """Return this process's dispatcher, created at first use."""
    existing: Dispatcher | None = current_app.extensions.get("skymailing_dispatcher")
    if existing is None:
        config = current_app.config
        existing = current_app.extensions["skymailing_dispatcher"] = Dispatcher(
            config["DATA_DIR"], config["MAIL_MAX_CONNECTIONS"], parseaddr(config["MAIL_DEFAULT_SENDER"])[1]
        )
    return existing


def close_dispatcher() -> None:
    """Close what this process keeps between slices."""
    existing: Dispatcher | None = current_app.extensions.pop("skymailing_dispatcher", None)
    if existing:
        existing.close()


def _abandon(dispatcher: Dispatcher) -> None:
    """Leave the dispatcher's lease to the sweep, as if this worker were dead."""
    # The journal first: closing sessions may fail after an exception.
    current_app.extensions.pop("skymailing_dispatcher", None)
    dispatcher.journal.abandon()
    for pool in dispatcher.pools.values():
        pool.disconnect()


def send_slice(run_id: int, should_yield: Callable[[float], bool]) -> bool:
    """Send letters of a run for a while; return whether more may be due now.

    Stops when `should_yield(elapsed seconds)` is true, at the first fault of the route, or when nothing
    is due. Every claimed letter is recorded before this returns.
    """
    started = time.monotonic()
    dispatcher = get_dispatcher()
    try:
        dispatcher.journal.clear()
        while _send_window(run_id, dispatcher):
            if should_yield(time.monotonic() - started):
                return True
    except BaseException:
        # A lease may be held, or its claim or results may not have been committed; the sweep recovers it
        # from the journal.
        _abandon(dispatcher)
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
    """Claim, hand over and record one window; return whether another one may follow."""
    now = utcnow()
    with reading_engine().connect() as connection:
        run = claims.load_open_run(connection, run_id, now)
    chosen = routes.choose(now) if run else None
    if run is None or chosen is None:
        return False
    pool, is_probe = dispatcher.pools[chosen[0]], chosen[1] is routes.Admission.PROBE
    if (pipeline := _connect(dispatcher, pool, is_probe)) is None:
        return False
    dispatcher.rates.wait_if_held_back()
    queue = dispatcher.domain_queue(run)
    limit = 1 if is_probe else dispatcher.rates.cap_window(dispatcher.window)
    batch = _claim(run, dispatcher, limit, queue)
    if not batch.claimed:
        if is_probe:
            routes.release_probe(pool.route, utcnow())
        return queue is not None and queue.wait_for_more()
    _process(run, batch, dispatcher, pool, pipeline)
    if is_probe and not batch.results:
        routes.release_probe(pool.route, utcnow())
    if queue:
        queue.requeue((claimed.id, claimed.email) for claimed in batch.untried())
    dispatcher.adapt(pool, batch.results, time.monotonic() - batch.checked_at)
    metrics.count_results(batch.results)
    is_usable = pool.report_results(batch.results, is_probe)
    if batch.pause:
        plan.pause_mailing(run.id, *batch.pause)
    # A claim that found fewer letters than it wanted has found the last ones.
    is_last = queue is None and len(batch.claimed) < limit and not batch.untried()
    return is_usable and not batch.pause and not is_last


def _connect(dispatcher: Dispatcher, pool: SessionPool, is_probe: bool) -> Pipeline | None:
    """Return open sessions over the route.

    None if it cannot be used; this is reported to its circuit breaker.
    """
    if is_probe:
        pool.reset()
    try:
        return pool.connect(dispatcher.sender, dispatcher.journal)
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
        claimed = claims.claim(connection, run, token, now + dispatcher.settings.lease, limit, now, queue)
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
    except BaseException:
        # Also for a stop or a job timeout: record what has been handed over before the worker ends.
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
            batch.stop(StateReason.REFUSED, reply)
        elif dispatcher.rejections.record(run.id, result):
            batch.stop(StateReason.REJECTED, reply)
        return batch.pause is not None

    window = dispatcher.settings.window_seconds
    confirmed = batch.confirmed(run, window / 2)
    left = (run.ends_at - utcnow()).total_seconds()
    until = min(batch.checked_at + window, time.monotonic() + left)
    letters = _letters(run, batch, confirmed, dispatcher, pool)
    pipeline.hand_over(letters, until, batch.results, is_refused)


def _letters(
    run: OpenRun, batch: Batch, confirmed: list[Claimed], dispatcher: Dispatcher, pool: SessionPool
) -> Iterator[Letter]:
    """Yield the letters that the rates allow, each rendered when a session is ready for it."""
    try:
        template = dispatcher.template(run)
    except TemplateError as error:
        batch.stop(StateReason.RENDER_FAILED, str(error))
        return
    now = utcnow()
    base = unsubscribe_url("")
    for claimed in confirmed:
        if dispatcher.rates.is_limited and not dispatcher.rates.allow(
            pool.route, run.mailing_id, claimed.email
        ):
            if dispatcher.rates.was_held_back:
                return
            continue
        recipient = Recipient(claimed.email, claimed.full_name, claimed.attributes)
        url = base + unsubscribe_token(run.owner_id, claimed.email_key)
        number = claimed.attempts + 1
        try:
            content = template.render(claimed.id, recipient, url, now)
        except TemplateError as error:
            # This client's data breaks the letter; letters to other clients may be fine.
            letter = Letter(claimed.id, number, claimed.email, b"")
            result = Result(letter, Verdict.FAILED, None, f"the letter cannot be written: {error}")
            batch.results.append(result)
            if dispatcher.rejections.record(run.id, result):
                batch.stop(StateReason.RENDER_FAILED, str(error))
                return
            continue
        yield Letter(claimed.id, number, claimed.email, content)
