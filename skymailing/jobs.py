"""What rq workers run: each takes ids, calls one service, and may run twice without harm."""

import functools
from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec

from flask import current_app
from redis import RedisError

from skymailing import counters, queue, schedule, undo
from skymailing.auth import deletion
from skymailing.blog import orphans, viewing
from skymailing.caching import invalidation
from skymailing.clients import imports
from skymailing.clock import utcnow
from skymailing.delivery import plan, send
from skymailing.delivery.recovery.sweep import Findings
from skymailing.delivery.recovery.sweep import sweep as sweep_ledger
from skymailing.extensions import db
from skymailing.logs import context
from skymailing.mailings import summaries
from skymailing.messages import drafts, pictures
from skymailing.outbox import services as outbox
from skymailing.reports import daily_rollup
from skymailing.retention import sweep as retention
from skymailing.settings.engine import engine_settings

P = ParamSpec("P")

OUTBOX = "outbox"  # the name of its hint


def job(function: Callable[P, None]) -> Callable[P, None]:
    """Give a job an application context, and so a database session, of its own."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with current_app.app_context():
            function(*args, **kwargs)

    return run


@job
def send_outbox() -> None:
    """Send the account letters that are due."""
    queue.take_hint(OUTBOX)
    outbox.send_due_letters(utcnow())


@job
def import_clients(import_id: int) -> None:
    """Import rows of a file for a while, then queue up again behind the others."""
    queue.take_hint(_import_name(import_id))
    if imports.run_import_slice(import_id, should_hand_back=_should_hand_back):
        queue.hint(_import_name(import_id), "import_clients", import_id)


@job
def start_mailing(mailing_id: int) -> None:
    """Plan the run of a mailing that is due and let workers send it."""
    queue.take_hint(_start_name(mailing_id))
    context.bind(mailing_id=mailing_id)
    run_id = plan.start_due_run(mailing_id, utcnow())
    if run_id is not None:
        context.bind(run_id=run_id)
        hint_run(run_id)


@job
def wake_run(run_id: int) -> None:
    """Let workers go on with a run that rested outside its sending hours."""
    hint_run(run_id)


@job
def send_slice(run_id: int, slot: int) -> None:
    """Send letters of a run for a while, then queue up again behind the others."""
    queue.take_hint(_slice_name(run_id, slot))
    context.bind(run_id=run_id)
    if send.send_slice(run_id, _should_hand_back):
        queue.hint(_slice_name(run_id, slot), "send_slice", run_id, slot)


@job
def erase_account(user_id: int) -> None:
    """Delete some of an account whose time has come, then queue up again behind the others."""
    queue.take_hint(_erasure_name(user_id))
    if deletion.erase_slice(user_id, utcnow(), _should_hand_back):
        queue.hint(_erasure_name(user_id), "erase_account", user_id)


@job
def sweep() -> None:
    """Find in the database what lost hints, dead workers and an emptied Redis left behind."""
    mend(utcnow())


def mend(now: datetime) -> Findings:
    """Do what a sweep does and return what it found; raises RedisError once the database is mended."""
    found = sweep_ledger(current_app.config["DATA_DIR"] / "journal", now)
    # Letters first: they go on whatever may be wrong with the rest.
    for mailing_id in found.due_mailings:
        queue.hint(_start_name(mailing_id), "start_mailing", mailing_id, queue=queue.SYSTEM)
    for run_id in found.due_runs:
        hint_run(run_id)
    queue.hint(OUTBOX, "send_outbox", queue=queue.SYSTEM)
    viewing.fold_views(now)
    orphans.drop_orphans(now)
    undo.forget_old(now)
    drafts.drop_old(now)
    pictures.drop_unused(now)
    pictures.drop_strays(now)
    invalidation.catch_up()
    if summaries.post_due_summaries(now):
        queue.hint(OUTBOX, "send_outbox", queue=queue.SYSTEM)
    for import_id in imports.resume_stalled_imports(now):
        queue.hint(_import_name(import_id), "import_clients", import_id)
    for user_id in deletion.due_accounts(now):
        queue.hint(_erasure_name(user_id), "erase_account", user_id)
    schedule.reconcile()
    counters.put("last_sweep", utcnow().timestamp())
    db.session.rollback()  # what was read above would keep others from writing on SQLite
    daily_rollup.add_up(now)
    retention.remove_old(now)
    return found


def _should_hand_back(elapsed: float) -> bool:
    """Whether a slice that has taken `elapsed` seconds should let others have the worker."""
    settings = engine_settings()
    if elapsed > settings.slice_seconds or queue.stop_is_requested():
        return True
    return elapsed > settings.least_slice_seconds and queue.others_are_waiting()


def hint_run(run_id: int) -> None:
    """Ask as many workers as there are, on all hosts, to send a run's letters side by side."""
    try:
        workers = queue.count_workers()
    except RedisError:
        return  # no hint would arrive; the sweep gives them all again
    for slot in range(max(workers, current_app.config["WORKERS"])):
        queue.hint(_slice_name(run_id, slot), "send_slice", run_id, slot)


def _start_name(mailing_id: int) -> str:
    return f"mailing-{mailing_id}"


def _slice_name(run_id: int, slot: int) -> str:
    return f"run-{run_id}-{slot}"


def _import_name(import_id: int) -> str:
    return f"import-{import_id}"


def _erasure_name(user_id: int) -> str:
    return f"erasure-{user_id}"
