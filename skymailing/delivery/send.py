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
from skymailing.delivery.ledger.claims import OpenRun
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

# Seconds until a rate allows more letters, from which a worker leaves the run to the sweep.
LONG_WAIT = 20.0
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

    def cap_window(self, run_id: int) -> int:
        """Return how many letters of the run may be claimed at once."""
        room = self.rejections.room(run_id)
        return self.rates.cap_window(self.window if room is None else min(room, self.window))

    def close(self) -> None:
        """Close the sessions and the journal; only when no lease is held."""
        for pool in self.pools.values():
            pool.disconnect()
        self.journal.close()

    def adapt(self, pool: SessionPool, results: list[Result], seconds: float) -> None:
        """Adapt the number of sessions and the window size to the last window."""
        pool.concurrency.adjust(results, self.rates.was_held_back)
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
    plan.finish_run(run_id, utcnow())
    return False


def _send_window(run_id: int, dispatcher: Dispatcher) -> bool:
    """Claim, hand over and record one window; return whether another one may follow."""
    now = utcnow()
    with reading_engine().connect() as connection:
        run = claims.load_open_run(connection, run_id, now)
    chosen = routes.choose(now) if run else None
    if run is None or chosen is None:
        return False
    pool, is_probe = dispatcher.pools[chosen.route], chosen.is_probe
    dispatcher.rates.follow(chosen.memory, now)
    pool.follow(chosen.memory, now)
    if not is_probe and (wait := dispatcher.rates.wait_if_held_back()):
        return wait < LONG_WAIT
    if (pipeline := _connect(dispatcher, pool, is_probe)) is None:
        return False
    queue = dispatcher.domain_queue(run)
    batch = _claim(run, dispatcher, 1 if is_probe else dispatcher.cap_window(run.id), queue)
    if not batch.claimed:
        if is_probe:
            routes.release_probe(pool.route, utcnow())
        return queue is not None and queue.wait_for_more()
    begun = time.monotonic()
    _process(run, batch, dispatcher, pool, pipeline)
    if queue:
        queue.requeue((claimed.id, claimed.email) for claimed in batch.untried())
    dispatcher.adapt(pool, batch.results, time.monotonic() - begun)
    pool.learn_pace(batch.results, chosen.memory, dispatcher.rates.was_held_back)
    pool.learn_pipelining(chosen.memory, now)
    metrics.count_results(batch.results)
    is_usable = pool.report_results(batch.results, is_probe)
    if batch.pause:
        plan.pause_mailing(run.id, *batch.pause)
    return is_usable and not batch.pause


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
        claimed = claims.claim(connection, run, token, now + dispatcher.settings.lease, limit, now, queue)
        if claimed:
            connection.execute(
                update(Run)
                .where(Run.id == run.id, Run.state == RunState.PLANNED)
                .values(state=RunState.SENDING)
            )
    return Batch(token, claimed)


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
        elif (count := dispatcher.rejections.record(run.id, result)) >= dispatcher.rejections.most:
            batch.stop(StateReason.REJECTED, reply)
            if count > dispatcher.rejections.most:
                batch.put_back_last()
        return batch.pause is not None

    left = min(dispatcher.settings.window_seconds, (run.ends_at - utcnow()).total_seconds())
    letters = _letters(run, batch, dispatcher, pool.route, pipeline.largest_letter)
    pipeline.hand_over(letters, time.monotonic() + left, batch.results, is_refused)


def _letters(
    run: OpenRun, batch: Batch, dispatcher: Dispatcher, route: str, largest: int
) -> Iterator[Letter]:
    """Yield the letters that the rates allow, each rendered when a session is ready for it."""
    try:
        template = dispatcher.template(run)
    except TemplateError as error:
        batch.stop(StateReason.NOT_WRITABLE, str(error))
        return
    now = utcnow()
    base = unsubscribe_url("")
    for claimed in batch.claimed:
        if dispatcher.rates.is_limited and not dispatcher.rates.allow(route, run.mailing_id, claimed.email):
            if dispatcher.rates.was_held_back:
                return
            continue
        recipient = Recipient(claimed.email, claimed.full_name, claimed.attributes)
        url = base + unsubscribe_token(run.owner_id, claimed.email_key)
        letter = Letter(claimed.id, claimed.attempts + 1, claimed.email, b"")
        try:
            letter.content = template.render(claimed.id, recipient, url, now)
        except TemplateError as error:
            # This client's data breaks the letter; letters to other clients may be fine.
            if _fail_unsent(run, batch, dispatcher, letter, f"the letter cannot be written: {error}"):
                batch.stop(StateReason.NOT_WRITABLE, str(error))
                return
            continue
        if (size := len(letter.content)) > largest:
            reply = f"the letter has {size} bytes, and the mail server accepts at most {largest}"
            if _fail_unsent(run, batch, dispatcher, letter, reply):
                batch.stop(StateReason.REJECTED, reply)
                return
            continue
        yield letter


def _fail_unsent(run: OpenRun, batch: Batch, dispatcher: Dispatcher, letter: Letter, reason: str) -> bool:
    """Fail a letter that cannot be sent; return whether the mailing should pause."""
    letter.content = b""
    result = Result(letter, Verdict.FAILED, None, reason)
    batch.results.append(result)
    return dispatcher.rejections.record(run.id, result) >= dispatcher.rejections.most
