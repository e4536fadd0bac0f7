"""A slice of a run: claim -> hand over -> record, a window at a time."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from skymailing.clock import utcnow
from skymailing.db.engine import reading_engine
from skymailing.delivery import metrics, plan
from skymailing.delivery.journal import WorkerJournal
from skymailing.delivery.ledger import claims, record
from skymailing.delivery.ledger.claims import Claimed, OpenRun
from skymailing.delivery.rendering.letter import Content, LetterTemplate, Recipient, Sender, TemplateError
from skymailing.delivery.retry import UNCOUNTED
from skymailing.delivery.routing import routes
from skymailing.delivery.routing.domain_queue import DomainQueue
from skymailing.delivery.routing.rate_limits import RateLimits
from skymailing.delivery.routing.rejections import Rejections
from skymailing.delivery.routing.session_pool import SessionPool
from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Letter, Result, Verdict
from skymailing.extensions import db
from skymailing.models import Run, RunState, StateReason
from skymailing.security import unsubscribe_token
from skymailing.settings.engine import engine_settings

logger = logging.getLogger(__name__)

MAX_DOMAIN_QUEUES = 4  # runs between which a worker may change without looking for its place again


@dataclass
class Batch:
    """A lease's letters and how they ended."""

    token: str
    claimed: list[Claimed]
    results: list[Result] = field(default_factory=list)
    # What showed that the mailing's next letters would fare no better, with its words.
    pause: tuple[StateReason, str] | None = None

    def untried(self) -> list[Claimed]:
        """Return what goes back to pending: not begun, or given up for no fault of its own."""
        tried = {result.letter.delivery_id for result in self.results if result.verdict not in UNCOUNTED}
        return [claimed for claimed in self.claimed if claimed.id not in tried]

    def stop(self, reason: StateReason, detail: str) -> None:
        """Begin no further letter, and pause the mailing once these are recorded."""
        self.pause = self.pause or (reason, detail)


class Dispatcher:
    """What a worker keeps from slice to slice: its journal, its lanes, what it learned."""

    def __init__(self, data_dir: Path, most_sessions: int, sender: str) -> None:
        self.journal = WorkerJournal(data_dir / "journal")
        self.sender = sender
        self.settings = engine_settings()
        self.window = self.settings.first_window
        self.lanes = {name: SessionPool(name, most_sessions) for name in routes.list_configured()}
        self._template: tuple[UUID, LetterTemplate] | None = None
        self._backlogs: dict[UUID, DomainQueue] = {}
        self.rejections = Rejections(self.settings.most_equal_rejections)
        config = current_app.config
        self.rates = RateLimits(
            config["MAIL_RATE"], config["MAIL_RATE_PER_MAILING"], config["MAIL_RATE_PER_DOMAIN"]
        )

    def template(self, run: OpenRun) -> LetterTemplate:
        """Return the run's content, compiled when it was first asked for."""
        # By the uuid: SQLite gives the id of a run that was deleted to the next one.
        if self._template is None or self._template[0] != run.uuid:
            content = Content(run.subject, run.format, run.body)
            sender = Sender(run.sender_name, self.sender, run.reply_to)
            list_id = f"mailing-{run.mailing_id}.{self.sender.rpartition('@')[2]}"
            self._template = run.uuid, LetterTemplate(content, sender, run.uuid, list_id)
        return self._template[1]

    def backlog(self, run: OpenRun) -> DomainQueue | None:
        """Return this worker's place in the run's queue; none while domains have no limit."""
        if not self.rates.per_domain:
            return None
        # The latest one last, so that the longest unused is forgotten.
        backlog = self._backlogs.pop(run.uuid, None) or DomainQueue(run.id, self.rates)
        self._backlogs[run.uuid] = backlog
        if len(self._backlogs) > MAX_DOMAIN_QUEUES:
            del self._backlogs[next(iter(self._backlogs))]
        return backlog

    def close(self) -> None:
        """End the sessions and the journal; only when no lease is held."""
        for lane in self.lanes.values():
            lane.disconnect()
        self.journal.close()

    def learn(self, lane: SessionPool, results: list[Result], seconds: float) -> None:
        """Adapt sessions and window to how the last window went."""
        lane.concurrency.adjust(results)
        if seconds > self.settings.window_seconds:
            self.window = max(self.settings.first_window, self.window // 2)
        elif seconds < self.settings.window_seconds / 2:
            self.window = min(self.settings.largest_window, self.window * 2)


def dispatcher() -> Dispatcher:
    """Return this process's dispatcher, made at first use."""
    existing: Dispatcher | None = current_app.extensions.get("skymailing_dispatcher")
    if existing is None:
        config = current_app.config
        existing = current_app.extensions["skymailing_dispatcher"] = Dispatcher(
            config["DATA_DIR"], config["MAIL_MAX_CONNECTIONS"], parseaddr(config["MAIL_DEFAULT_SENDER"])[1]
        )
    return existing


def close_dispatcher() -> None:
    """Let go of what this process keeps between slices."""
    existing: Dispatcher | None = current_app.extensions.pop("skymailing_dispatcher", None)
    if existing:
        existing.close()


def _abandon(own: Dispatcher) -> None:
    """Leave a dispatcher's leases to the sweep, as if this worker were dead."""
    # First what matters, as nobody knows in which state an exception left the sessions.
    current_app.extensions.pop("skymailing_dispatcher", None)
    own.journal.abandon()
    for lane in own.lanes.values():
        lane.disconnect()


def send_slice(run_id: int, hand_back: Callable[[float], bool]) -> bool:
    """Send letters of a run for a while; return whether there may be more to send right now.

    Ends when `hand_back(seconds so far)` says so, at the first fault of the route, or when nothing
    is due. Every claimed letter is recorded before it returns.
    """
    started = time.monotonic()
    own = dispatcher()
    try:
        own.journal.clear()
        while _send_window(run_id, own):
            if hand_back(time.monotonic() - started):
                return True
    except BaseException:
        # Perhaps a lease is held, or its claim or record is in doubt: the sweep reads the journal back.
        _abandon(own)
        raise
    plan.settle_run(run_id, utcnow())
    return False


def _send_window(run_id: int, own: Dispatcher) -> bool:
    """Claim, hand over and record one window; return whether it is worth asking for another."""
    now = utcnow()
    with reading_engine().connect() as connection:
        run = claims.load_open_run(connection, run_id, now)
    chosen = routes.choose(now) if run else None
    if run is None or chosen is None:
        return False
    lane, is_probe = own.lanes[chosen[0]], chosen[1] is routes.Admission.PROBE
    if is_probe:
        lane.reset()
    try:
        exchange = lane.connect(own.sender, own.journal)
    except OSError as error:
        logger.warning("route %s cannot be used: %s", lane.route, error)
        lane.report_connection_error(error)
        return False
    own.rates.wait_if_held_back()
    backlog = own.backlog(run)
    batch = _claim(run, own, 1 if is_probe else own.rates.cap_window(own.window), backlog)
    if not batch.claimed:
        if is_probe:
            routes.release_probe(lane.route, utcnow())
        return backlog is not None and backlog.wait_for_more()
    begun = time.monotonic()
    try:
        _hand_over(run, batch, own, lane, exchange)
    except BaseException:
        # Also a worker told to end: what it had begun is written down before it goes.
        _recall(batch, own)
        _record(run, batch, own, lane)
        raise
    _record(run, batch, own, lane)
    if backlog:
        backlog.requeue((claimed.id, claimed.email) for claimed in batch.untried())
    own.learn(lane, batch.results, time.monotonic() - begun)
    metrics.count_results(batch.results)
    is_fit = lane.report_results(batch.results, is_probe)
    if batch.pause:
        plan.pause_by_itself(run.id, *batch.pause)
    return is_fit and not batch.pause


def _claim(run: OpenRun, own: Dispatcher, limit: int, backlog: DomainQueue | None) -> Batch:
    token = str(uuid4())
    own.journal.claim(token)
    if backlog:
        backlog.begin_claim()
    now = utcnow()
    with db.engine.connect() as connection, connection.begin():
        claimed = claims.claim(connection, run, token, now + own.settings.lease, limit, now, backlog)
        if claimed:
            connection.execute(
                update(Run)
                .where(Run.id == run.id, Run.state == RunState.PLANNED)
                .values(state=RunState.SENDING)
            )
    return Batch(token, claimed)


def _hand_over(run: OpenRun, batch: Batch, own: Dispatcher, lane: SessionPool, exchange: Pipeline) -> None:
    """Hand over the batch as far as time, rates and the mail server allow."""

    def is_refused(result: Result) -> bool:
        words = f"{result.code} {result.answer}"
        if result.verdict is Verdict.SENDER_REFUSED:
            batch.stop(StateReason.REFUSED, words)
        elif own.rejections.record(run.id, result):
            batch.stop(StateReason.REJECTED, words)
        return batch.pause is not None

    left = min(own.settings.window_seconds, (run.ends_at - utcnow()).total_seconds())
    letters = _letters(run, batch, own, lane)
    exchange.hand_over(letters, time.monotonic() + left, batch.results, is_refused)


def _letters(run: OpenRun, batch: Batch, own: Dispatcher, lane: SessionPool) -> Iterator[Letter]:
    """Yield the letters of a batch that the rates allow, each rendered when a session is free for it."""
    base = current_app.config["PUBLIC_URL"]
    try:
        template = own.template(run)
    except TemplateError as error:
        batch.stop(StateReason.NOT_WRITABLE, str(error))
        return
    now = utcnow()
    for claimed in batch.claimed:
        if own.rates.is_limited and not own.rates.allow(lane.route, run.mailing_id, claimed.email):
            if own.rates.was_held_back:
                return
            continue
        recipient = Recipient(claimed.email, claimed.full_name, claimed.attributes)
        url = f"{base}/u/{unsubscribe_token(run.owner_id, claimed.email_key)}"
        number = claimed.attempts + 1
        try:
            content = template.render(claimed.id, recipient, url, now)
        except TemplateError as error:
            # This client's values break the letter; the others' letters are not harmed.
            letter = Letter(claimed.id, number, claimed.email, b"")
            result = Result(letter, Verdict.FAILED, None, f"the letter cannot be written: {error}")
            batch.results.append(result)
            if own.rejections.record(run.id, result):
                batch.stop(StateReason.NOT_WRITABLE, str(error))
                return
            continue
        yield Letter(claimed.id, number, claimed.email, content)


def _recall(batch: Batch, own: Dispatcher) -> None:
    """Add what only the journal knows: an exception may come between an answer and our list of results."""
    ended = {result.letter.delivery_id for result in batch.results}
    others = [claimed for claimed in batch.claimed if claimed.id not in ended]
    lease = own.journal.recall()
    if lease and lease.token == batch.token:
        batch.results += lease.tell_ended(others) + lease.tell_others(others)


def _record(run: OpenRun, batch: Batch, own: Dispatcher, lane: SessionPool) -> None:
    """Record a batch, letters that were not begun included; waits for a database that is away."""
    ended = {result.letter.delivery_id for result in batch.results}
    left_over = [
        Result(Letter(claimed.id, claimed.attempts + 1, claimed.email, b""), Verdict.RELEASED)
        for claimed in batch.claimed
        if claimed.id not in ended
    ]
    unknowns = {claimed.id: claimed.unknowns for claimed in batch.claimed if claimed.unknowns}
    give_up = time.monotonic() + own.settings.record_patience_seconds
    while True:
        try:
            with db.engine.connect() as connection, connection.begin():
                results = [*batch.results, *left_over]
                record.record(connection, run, batch.token, results, unknowns, lane.route, utcnow())
            return
        except OperationalError as error:
            if time.monotonic() > give_up:
                raise
            logger.warning("the database is away, recording waits: %s", error.orig)
            time.sleep(1)
