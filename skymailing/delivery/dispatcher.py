"""Keep a worker's state between slices: its journal, its sessions, its caches and its window size."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from flask import current_app

from skymailing.db.engine import reading_engine
from skymailing.delivery.journal import WorkerJournal
from skymailing.delivery.ledger.open_runs import OpenRun
from skymailing.delivery.rendering.click_tokens import ClickSigner
from skymailing.delivery.rendering.dkim import Signer
from skymailing.delivery.rendering.letter import Content, LetterTemplate, Sender, get_configured_mailboxes
from skymailing.delivery.rendering.letter_links import letter_link_key
from skymailing.delivery.rendering.message_ids import RunIdentity, message_id_key
from skymailing.delivery.rendering.tracked_links import Tracking
from skymailing.delivery.rendering.transactional import TransactionalTemplate
from skymailing.delivery.routing.concurrency import SessionLimits
from skymailing.delivery.routing.domain_queue import DomainQueue
from skymailing.delivery.routing.lanes import Lanes
from skymailing.delivery.routing.rate_limits import RateLimits
from skymailing.delivery.routing.rejections import Rejections
from skymailing.delivery.routing.servers import ServerAccess
from skymailing.delivery.routing.session_pool import SessionPool
from skymailing.delivery.run_files import estimate_slowest, load_files
from skymailing.delivery.run_links import number_links
from skymailing.delivery.senders import service_address
from skymailing.delivery.signing import find_signer
from skymailing.delivery.smtp.session import Result
from skymailing.delivery.transactional import TemplateCache, load_contents
from skymailing.models import OpenTracking
from skymailing.settings.engine import engine_settings

MAX_DOMAIN_QUEUES = 4  # runs for which a worker keeps its position
WINDOW_SHARE = 0.75  # the share of the time for starting a window's letters that the letters should fill


class Dispatcher:
    """The state of a worker process; `get_dispatcher` returns it."""

    def __init__(self, data_dir: Path, limits: SessionLimits, sender: str) -> None:
        self.journal = WorkerJournal(data_dir / "journal")
        self.sender = sender  # for every envelope, and for letters without their own From address
        self.settings = engine_settings()
        self.window = self.settings.first_window
        # Identifies this worker among those that share the sessions of a mail server.
        self.holder = uuid4().hex
        self.lanes = Lanes(limits, self.holder)
        self._templates: dict[tuple[UUID, int], LetterTemplate] = {}
        self._letter_templates = TemplateCache()
        self._queues: dict[tuple[UUID, bool], DomainQueue] = {}
        self.rejections = Rejections(self.settings.most_equal_rejections)
        config = current_app.config
        per_mailing = config["MAIL_RATE_PER_MAILING"]
        self._rates = RateLimits(config["MAIL_RATE"], per_mailing, config["MAIL_RATE_PER_DOMAIN"])
        # If owners' servers counted against the installation's rates, their owners would slow down other
        # owners.
        self._own_rates = RateLimits(None, per_mailing, None)
        self._no_rates = RateLimits(None, None, None)  # for letters that are caught instead of sent
        self.account_rates = RateLimits(config["MAIL_RATE"], None, None)

    def rates_of(self, run: OpenRun) -> RateLimits:
        """Return the limits of the run's mail server."""
        if run.is_caught:
            return self._no_rates
        if run.server is None:
            return self._rates
        return self._rates_of_server(run.server)

    def account_rates_of(self, server: ServerAccess | None) -> RateLimits:
        """Return the limits of account letters, or those of an owner's server."""
        return self.account_rates if server is None else self._rates_of_server(server)

    def _rates_of_server(self, server: ServerAccess) -> RateLimits:
        self._own_rates.limit_route(server.rate)
        return self._own_rates

    def choose_envelope_sender(self, run: OpenRun) -> str:
        """Return the address to which bounces go: an owner's server accepts only its own addresses."""
        return self.sender if run.server is None else run.sender_address

    def get_template(self, run: OpenRun, variant: int | None = None) -> LetterTemplate:
        """Return the content of the run's letters, or of those of a variant, compiled at first use."""
        # Identified by UUID, since SQLite may reuse the ID of a deleted run.
        key = run.uuid, variant or run.winner or 0
        if key not in self._templates:
            others = {known: template for known, template in self._templates.items() if known[0] == run.uuid}
            self._templates = others | {key: self._compile(run, variant)}
        return self._templates[key]

    def make_letter_templates(
        self, run: OpenRun, content_ids: set[int]
    ) -> Callable[[int | None], LetterTemplate]:
        """Return a function that finds the content of a transactional letter, compiled at first use.

        Contents with files are loaded one by one, because the files of a whole window may be gigabytes in
        size.
        """
        if run.file_bytes:
            return lambda id: self._find_letter_templates(run, {id})[id]
        return self._find_letter_templates(run, content_ids).__getitem__

    def _find_letter_templates(
        self, run: OpenRun, content_ids: Iterable[int | None]
    ) -> dict[int | None, LetterTemplate]:
        found: dict[int | None, LetterTemplate] = {}
        for content_id in content_ids:
            if template := self._letter_templates.find(run.id, content_id):
                found[content_id] = template
        missing = [id for id in content_ids if id is not None and id not in found]
        for content_id, content in load_contents(missing, with_files=run.file_bytes > 0).items():
            identity = RunIdentity(run.uuid, message_id_key())
            sender, name = self._make_sender(run, run.sender_name), f"letter-{run.mailing_id}.service"
            template = TransactionalTemplate(content, sender, identity, name, run.formats)
            self._letter_templates.add(run.id, content_id, template)
            found[content_id] = template
        return found

    def _compile(self, run: OpenRun, variant: int | None) -> LetterTemplate:
        source = run.content_of(variant)
        sender = self._make_sender(run, source.sender_name)
        list_id = f"mailing-{run.mailing_id}.{self.sender.rpartition('@')[2]}"
        id_key = message_id_key() if run.has_signed_ids else b""
        identity = RunIdentity(run.uuid, id_key, letter_link_key(), _track(run, variant or run.winner or 0))
        content = Content.of(source)
        if run.file_bytes:
            number = variant or run.winner or 0 if run.variants else 0
            content = replace(content, files=load_files(run.id, number))
        return LetterTemplate(content, sender, identity, list_id, run.formats)

    def find_lease(self, run: OpenRun) -> timedelta:
        """Return how long a claim of the run's letters is trusted."""
        return self.settings.lease + estimate_slowest(run.file_bytes)

    def _make_sender(self, run: OpenRun, name: str) -> Sender:
        return Sender(
            name,
            run.sender_address or self.sender,
            run.reply_to,
            run.owner_id,
            *get_configured_mailboxes(),
            signer=_find_signer(run),
        )

    def get_domain_queue(self, run: OpenRun) -> DomainQueue | None:
        """Return this worker's position in the run's queue; None if domains have no limit."""
        rates = self.rates_of(run)
        if not rates.per_domain:
            return None
        # Move the queue to the end, so that the least recently used one is evicted.
        key = run.uuid, run.is_testing
        queue = self._queues.pop(key, None) or DomainQueue(
            run.id, rates, in_sample=run.is_testing, at_local_time=run.is_local_time
        )
        self._queues[key] = queue
        if len(self._queues) > MAX_DOMAIN_QUEUES:
            del self._queues[next(iter(self._queues))]
        return queue

    def cap_window(self, run: OpenRun) -> int:
        """Return how many letters of the run may be claimed for a window."""
        allowed = self.rejections.count_allowed(run.id)
        size = self.window if allowed is None else min(allowed, self.window)
        return self.rates_of(run).cap_window(size)

    def close(self) -> None:
        """Close the sessions and the journal; only when no lease is held."""
        self.lanes.disconnect()
        self.journal.close()

    def adapt(self, pool: SessionPool, results: list[Result], seconds: float, is_held_back: bool) -> None:
        """Adapt the number of sessions and the window size to the last window."""
        pool.concurrency.adjust(results, is_held_back)
        settings = self.settings
        if seconds > settings.window_seconds:
            self.window = max(settings.first_window, self.window // 2)
        elif seconds < (busy_seconds := WINDOW_SHARE * settings.window_seconds):
            # The mail server is idle between windows, so fewer, larger windows are faster.
            growth = min(2.0, busy_seconds / max(seconds, 0.001))
            self.window = min(settings.largest_window, int(self.window * growth))


def _track(run: OpenRun, variant: int) -> Tracking | None:
    """Return the tracking in the letters of a run or variant; None without tracking."""
    has_image = run.track_opens != OpenTracking.OFF
    if not run.track_clicks and not has_image:
        return None
    number = partial(number_links, run.id, variant=variant) if run.track_clicks else None
    return Tracking(ClickSigner(run.id, run.uuid), current_app.config["PUBLIC_URL"], number, has_image)


def _find_signer(run: OpenRun) -> Signer | None:
    with reading_engine().connect() as connection:
        return find_signer(connection, run.owner_id, run.sender_address)


def get_dispatcher() -> Dispatcher:
    """Return this process's dispatcher, created at first use."""
    existing: Dispatcher | None = current_app.extensions.get("skymailing_dispatcher")
    if existing is None:
        config = current_app.config
        limits = SessionLimits(config["MAIL_MAX_CONNECTIONS"], config["MAIL_MAX_DISTANT_CONNECTIONS"])
        existing = current_app.extensions["skymailing_dispatcher"] = Dispatcher(
            config["DATA_DIR"], limits, service_address()
        )
    return existing


def give_back_sessions(only_scarce: bool = False) -> bool:
    """Close this process's sessions, or only those that other workers may be waiting for.

    Return whether there were any.
    """
    existing: Dispatcher | None = current_app.extensions.get("skymailing_dispatcher")
    return existing is not None and existing.lanes.release(only_scarce)


def close_dispatcher() -> None:
    """Close this process's sessions and journal, if it has any."""
    existing: Dispatcher | None = current_app.extensions.pop("skymailing_dispatcher", None)
    if existing:
        existing.close()


def abandon_dispatcher(dispatcher: Dispatcher) -> None:
    """Leave the dispatcher's lease to the sweep, as if this worker had died."""
    # Abandon the journal first, because closing sessions may fail after an exception.
    current_app.extensions.pop("skymailing_dispatcher", None)
    dispatcher.journal.abandon()
    dispatcher.lanes.disconnect()
