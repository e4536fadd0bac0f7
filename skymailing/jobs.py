"""The jobs of rq workers. Each takes IDs, calls one service, and can safely run twice."""

import functools
from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec

from flask import current_app

from skymailing import counters, hints, queue, schedule, undo
from skymailing.auth import deletion
from skymailing.blog import unused_images, view_counts
from skymailing.caching import invalidation
from skymailing.clients import imports
from skymailing.clients import tasks as import_tasks
from skymailing.clock import utcnow
from skymailing.delivery import plan, send
from skymailing.delivery.recovery.sweep import DueWork
from skymailing.delivery.recovery.sweep import sweep as sweep_ledger
from skymailing.extensions import db
from skymailing.logs import context
from skymailing.mailings import tasks as mailing_tasks
from skymailing.messages import drafts, pictures
from skymailing.outbox import tasks as outbox
from skymailing.quotas import counting
from skymailing.reports import daily_rollup
from skymailing.retention import sweep as retention
from skymailing.settings.engine import engine_settings

P = ParamSpec("P")


def job(function: Callable[P, None]) -> Callable[P, None]:
    """Run a job in its own application context, and so with its own database session."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with current_app.app_context():
            function(*args, **kwargs)

    return run


@job
def send_outbox() -> None:
    """Send the account letters that are due."""
    queue.clear_hint(hints.OUTBOX)
    outbox.send_due_letters(utcnow())


@job
def import_clients(import_id: int) -> None:
    """Import rows of a file for a few seconds, then requeue behind other jobs."""
    queue.clear_hint(hints.import_name(import_id))
    if import_tasks.run_import_slice(import_id, should_stop=_should_yield):
        hints.hint_import(import_id)


@job
def start_mailing(mailing_id: int) -> None:
    """Plan the run of a due mailing and ask workers to send it."""
    queue.clear_hint(hints.start_name(mailing_id))
    context.bind(mailing_id=mailing_id)
    run_id = plan.start_due_run(mailing_id, utcnow())
    if run_id is not None:
        context.bind(run_id=run_id)
        hints.hint_run(run_id)


@job
def wake_run(run_id: int) -> None:
    """Ask workers to continue a run that paused outside its sending hours."""
    hints.hint_run(run_id)


@job
def send_slice(run_id: int, slot: int) -> None:
    """Send a run's letters for a few seconds, then requeue behind other jobs."""
    queue.clear_hint(hints.slice_name(run_id, slot))
    context.bind(run_id=run_id)
    if send.send_slice(run_id, _should_yield):
        hints.hint_slice(run_id, slot)


@job
def erase_account(user_id: int) -> None:
    """Delete part of a due account for a few seconds, then requeue behind other jobs."""
    queue.clear_hint(hints.erasure_name(user_id))
    if deletion.erase_slice(user_id, utcnow(), _should_yield):
        hints.hint_erasure(user_id)


@job
def sweep() -> None:
    """Find unfinished work in the database after lost hints, dead workers or an emptied Redis."""
    run_sweep(utcnow())


def run_sweep(now: datetime) -> DueWork:
    """Repair the ledger, repeat all hints and run the periodic tasks.

    Return what the ledger's sweep found. If Redis is unavailable, raise RedisError after the database
    has been repaired.
    """
    found = sweep_ledger(current_app.config["DATA_DIR"] / "journal", now)
    # Letters first: they are sent even if a task below fails.
    for mailing_id in found.mailings:
        hints.hint_start(mailing_id)
    for run_id in found.runs:
        hints.hint_run(run_id)
    hints.hint_outbox()
    for task in PERIODIC_TASKS:
        task(now)
    return found


def _post_summaries(now: datetime) -> None:
    if mailing_tasks.post_due_summaries(now):
        hints.hint_outbox()


def _resume_imports(now: datetime) -> None:
    for import_id in imports.find_stalled_imports(now):
        hints.hint_import(import_id)


def _erase_due_accounts(now: datetime) -> None:
    for user_id in deletion.list_due_accounts(now):
        hints.hint_erasure(user_id)


def _delete_expired_removals(now: datetime) -> None:
    undo.delete_expired(now)
    db.session.commit()


def _delete_expired_drafts(now: datetime) -> None:
    drafts.delete_expired(now)
    db.session.commit()


def _record_sweep(_now: datetime) -> None:
    counters.set_gauge("last_sweep", utcnow().timestamp())
    db.session.rollback()  # an open transaction would block other writers on SQLite


# Run in this order with every sweep. Each takes the time, limits its own work and can safely run twice.
PERIODIC_TASKS: tuple[Callable[[datetime], object], ...] = (
    view_counts.fold_views,
    unused_images.delete_unused_images,
    _delete_expired_removals,
    _delete_expired_drafts,
    counting.delete_old,
    pictures.delete_unused,
    pictures.delete_orphans,
    lambda _now: invalidation.invalidate_missed_edits(),
    _post_summaries,
    _resume_imports,
    _erase_due_accounts,
    lambda _now: schedule.reconcile(),
    _record_sweep,
    daily_rollup.roll_up_days,
    retention.remove_old,
)


def _should_yield(elapsed: float) -> bool:
    """Whether a slice should yield the worker to other jobs after `elapsed` seconds."""
    settings = engine_settings()
    if elapsed > settings.slice_seconds or queue.stop_is_requested():
        return True
    return elapsed > settings.least_slice_seconds and queue.others_are_waiting()
