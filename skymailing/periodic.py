"""Define the parts of a sweep: repair the ledger, resume what has stopped, and delete what has expired."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from flask import current_app

from skymailing import counters, hints, schedule, undo
from skymailing.api import idempotency, keys
from skymailing.auth import deletion
from skymailing.blog import unused_images, view_counts
from skymailing.caching import invalidation
from skymailing.clients import imports, notes, uploads
from skymailing.clients.bulk import services as bulk
from skymailing.clients.search.index import is_behind
from skymailing.clock import utcnow
from skymailing.delivery import due, plan_batches, reputation
from skymailing.delivery.recovery import sweep as recovery
from skymailing.delivery.routing import owner_pauses
from skymailing.delivery.sequences import sweep as sequences
from skymailing.delivery.variants import decision
from skymailing.domains.tasks import find_due_domains
from skymailing.extensions import db
from skymailing.link_checks import services as link_checks
from skymailing.mailings import tasks as mailing_tasks
from skymailing.manager import article_drafts
from skymailing.messages import drafts, file_links, files, unused_pictures
from skymailing.quotas import counting
from skymailing.reports import daily_rollup
from skymailing.retention import sweep as retention
from skymailing.returns import tasks as return_tasks
from skymailing.servers.queries import has_test_requests
from skymailing.signup import tasks as signups
from skymailing.tracking import folding
from skymailing.webhooks import tasks as webhooks


@dataclass(frozen=True)
class DueWork:
    """Mailings whose run is due, and runs with letters to send now, as pairs of owner and run."""

    mailings: list[int]
    runs: list[tuple[int, int]]


def _decide_tests(now: datetime) -> None:
    for run_id in decision.find_due_tests(now):
        if decision.decide_test(run_id, now):
            hints.hint_run(run_id)


def _post_letters(now: datetime) -> None:
    if mailing_tasks.post_due_summaries(now) + mailing_tasks.post_pause_notices():
        hints.hint_outbox()


def _resume_stalled(now: datetime) -> None:
    for import_id in imports.find_stalled_imports(now):
        hints.hint_import(import_id)
    for job_id in bulk.find_stalled_jobs(now):
        hints.hint_bulk_job(job_id)
    if is_behind():
        hints.hint_index()
    for domain_id in find_due_domains(now):
        hints.hint_domain(domain_id)
    if has_test_requests():
        hints.hint_server_tests()
    if link_checks.is_waiting(now):
        hints.hint_link_checks()
    if webhooks.has_work():
        hints.hint_webhooks()
    for user_id in deletion.list_due_accounts(now):
        hints.hint_erasure(user_id)


def _advance_sequences(now: datetime) -> None:
    if sequences.has_work(now):
        hints.hint_sequences()


def _delete_expired(now: datetime) -> None:
    expiring = (undo.delete_expired, bulk.delete_expired, uploads.delete_old, drafts.delete_expired)
    others = (
        article_drafts.delete_expired,
        notes.delete_expired,
        link_checks.delete_expired,
        signups.delete_expired,
        idempotency.delete_expired,
    )
    for delete in (*expiring, *others, keys.delete_old):
        delete(now)
        db.session.commit()


def _record_sweep(_now: datetime) -> None:
    counters.set_gauge("last_sweep", utcnow().timestamp())
    db.session.rollback()  # an open transaction would block other writers on SQLite


# A sweep repairs the ledger before anything else, so that letters are sent even if a task below fails.
REPAIRS: tuple[Callable[[datetime], object], ...] = (
    lambda now: recovery.recover_dead_journals(_get_journal_directory(), now),
    lambda now: recovery.recover_lost_leases(_get_journal_directory(), now),
    plan_batches.finish_interrupted,
    recovery.finish_expired_mailings,
    recovery.finish_ended_runs,
)


def _remove_old(now: datetime) -> None:
    if retention.remove_old(now).has_more:
        hints.hint_retention()


# Run in this order by every sweep. Each takes the current time, limits its own work and may run twice.
PERIODIC_TASKS: tuple[Callable[[datetime], object], ...] = (
    view_counts.fold_views,
    folding.fold_hits,
    _decide_tests,  # after the last clicks have been counted
    unused_images.delete_unused_images,
    _delete_expired,
    counting.delete_old,
    owner_pauses.delete_old,
    unused_pictures.delete_unused,
    unused_pictures.delete_orphans,
    file_links.delete_unused,
    files.delete_unused,
    signups.add_clients,
    lambda _now: invalidation.invalidate_missed_edits(),
    reputation.check_changed,
    _advance_sequences,
    _post_letters,
    _resume_stalled,
    lambda _now: return_tasks.hint_mailbox_if_due(),
    schedule.reconcile,
    _record_sweep,
    daily_rollup.roll_up_days,
    _remove_old,
)


def hint_due_work(now: datetime) -> DueWork:
    """Ask workers to start the mailings and send the letters that are due; return this work."""
    found = DueWork(due.find_mailings(now), due.find_runs(now))
    for mailing_id in found.mailings:
        hints.hint_start(mailing_id)
    hints.hint_runs(found.runs)
    hints.hint_outbox()
    return found


def _get_journal_directory() -> Path:
    return cast("Path", current_app.config["DATA_DIR"]) / "journal"
