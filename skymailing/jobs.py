"""The jobs of rq workers. Each takes IDs, calls one service, and can safely run twice."""

import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ParamSpec
from uuid import uuid4

from flask import current_app

from skymailing import counters, hints, queue, schedule, turns, worker
from skymailing.auth import deletion
from skymailing.clients import tasks as import_tasks
from skymailing.clients.bulk import tasks as bulk_tasks
from skymailing.clients.search.tasks import update_index
from skymailing.clock import utcnow
from skymailing.delivery import dispatcher, due, plan, send
from skymailing.delivery.routing.session_pool import NoSession
from skymailing.delivery.sequences import sweep as sequences
from skymailing.domains import tasks as domain_tasks
from skymailing.extensions import db
from skymailing.link_checks import tasks as link_tasks
from skymailing.logs import context
from skymailing.outbox import tasks as outbox
from skymailing.periodic import PERIODIC_TASKS, REPAIRS, DueWork, hint_due_work
from skymailing.retention import sweep as retention
from skymailing.returns import tasks as return_tasks
from skymailing.servers.tasks import run_tests
from skymailing.settings.engine import engine_settings
from skymailing.turns import Turn
from skymailing.webhooks import tasks as webhook_tasks

SWEEP_LEASE = 30  # seconds without an update after which a sweep counts as dead
SWEEP_CHECK = 0.05  # seconds between checks of whether a sweep still holds its lease and other jobs wait
HANDOVER_LEASE = 150  # seconds that the rest of a sweep may wait behind other jobs

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
    try:
        outbox.send_due_letters(utcnow(), _should_yield)
    finally:
        give_back_sessions(only_scarce=True)


@job
def import_clients(import_id: int) -> None:
    """Import rows of a file for a few seconds, then requeue behind other jobs."""
    queue.clear_hint(hints.make_import_name(import_id))
    give_back_sessions()
    if import_tasks.run_import_slice(import_id, should_stop=_should_yield):
        hints.hint_import(import_id)
    else:
        hints.hint_index()


@job
def index_clients() -> None:
    """Update the search index for a few seconds, then requeue behind other jobs."""
    queue.clear_hint(hints.INDEX)
    give_back_sessions()
    if update_index(_should_yield):
        hints.hint_index()


@job
def remove_expired() -> None:
    """Remove expired data for a few seconds, then requeue behind other jobs."""
    queue.clear_hint(hints.RETENTION)
    give_back_sessions()
    if retention.remove_old(utcnow(), engine_settings().slice_seconds, _should_yield).has_more:
        hints.hint_retention()


@job
def test_servers() -> None:
    """Test mail servers for a few seconds, then requeue behind other jobs."""
    queue.clear_hint(hints.SERVER_TESTS)
    give_back_sessions(only_scarce=True)
    if run_tests(utcnow(), _should_yield):
        hints.hint_server_tests()


@job
def send_webhooks() -> None:
    """Send the calls of webhooks that are due, in a thread that runs alongside the jobs of this worker."""
    queue.clear_hint(hints.WEBHOOKS)
    webhook_tasks.SERVING.start()


@job
def check_links() -> None:
    """Check links in a thread that runs alongside the jobs of this worker."""
    queue.clear_hint(hints.LINK_CHECKS)
    link_tasks.SERVING.start()


@job
def change_clients(job_id: int) -> None:
    """Change many clients for a few seconds, then requeue behind other jobs."""
    queue.clear_hint(hints.make_bulk_job_name(job_id))
    give_back_sessions()
    if bulk_tasks.run_slice(job_id, _should_yield):
        hints.hint_bulk_job(job_id)


@job
def advance_sequences() -> None:
    """Let clients enter sequences and plan due letters; then requeue behind other jobs."""
    queue.clear_hint(hints.SEQUENCES)
    give_back_sessions(only_scarce=True)
    swept = sequences.run_due(utcnow(), _should_yield)
    counters.add({"sequence_letters": sum(swept.letters.values())})
    hints.hint_step_letters(swept.letters)
    if swept.has_more:
        hints.hint_sequences()


@job
def check_domain(domain_id: int) -> None:
    """Check the records of a sending domain in DNS."""
    queue.clear_hint(hints.make_domain_name(domain_id))
    give_back_sessions()
    if domain_tasks.check_domain(domain_id, utcnow()):
        hints.hint_outbox()


@job
def read_mailbox() -> None:
    """Read returned mail for a few seconds, then requeue behind other jobs."""
    queue.clear_hint(hints.MAILBOX)
    give_back_sessions()
    if return_tasks.read_mailbox(_should_yield).is_unfinished:
        hints.hint_mailbox()


@job
def start_mailing(mailing_id: int) -> None:
    """Plan the run of a due mailing and ask workers to send it."""
    queue.clear_hint(hints.make_start_name(mailing_id))
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
    """Send letters of the runs whose turn it is for a few seconds, then requeue."""
    queue.clear_hint(hints.make_turn_name(slot))
    context.bind(run_id=run_id)
    start = time.monotonic()
    may_send = True
    try:
        while may_send and (turn := turns.take()):
            may_send = _take_turn(turn)
            if not _may_continue(time.monotonic() - start):
                break
    finally:
        dispatcher.give_back_sessions(only_scarce=True)
        if may_send:  # even if this run failed: other runs are still waiting
            hints.hint_turn(slot)


def _take_turn(turn: Turn) -> bool:
    """Send a run's letters, charge its owner for the time, and let the rest wait for its next turn.

    Return whether this worker may take another turn; False if other workers are using all the sessions.
    """
    context.bind(run_id=turn.run_id)
    start = time.monotonic()
    try:
        has_more = send.send_slice(turn.run_id, _should_yield)
    except NoSession as error:
        turns.add([turn])
        # Checked last: otherwise, other workers could find no turn and release their sessions in between.
        return error.budget.has_room()
    finally:
        turns.charge(turn, time.monotonic() - start)
    if has_more:
        turns.add([turn])
    else:
        for mailing_id in due.find_mailings(utcnow(), turn.owner_id):
            hints.hint_start(mailing_id)
    return True


def _may_continue(elapsed: float) -> bool:
    """Return whether a job may take another turn after `elapsed` seconds, because no other job is waiting."""
    settings = engine_settings()
    if worker.stop_is_requested() or queue.is_waiting(queue.SYSTEM):
        return False
    if elapsed <= settings.least_slice_seconds:
        return True
    return elapsed <= settings.slice_seconds and not queue.is_waiting(queue.DELIVERY)


def give_back_sessions(only_scarce: bool = False) -> None:
    """Close sessions that are not in use, and wake a worker that may have waited for one."""
    if dispatcher.give_back_sessions(only_scarce):
        hints.hint_turn(0)


@job
def erase_account(user_id: int) -> None:
    """Spend a few seconds deleting a due account, then requeue behind other jobs."""
    queue.clear_hint(hints.make_erasure_name(user_id))
    give_back_sessions()
    if deletion.erase_slice(user_id, utcnow(), _should_yield):
        hints.hint_erasure(user_id)


@job
def sweep() -> None:
    """Find unfinished work in the database after lost hints, dead workers or an emptied Redis."""
    _sweep_from(0, uuid4().hex, utcnow())


@job
def continue_sweep(part: int, lease: str, begun_at: float) -> None:
    """Continue a sweep that has let other jobs go first."""
    _sweep_from(part, lease, datetime.fromtimestamp(begun_at, UTC))


def _sweep_from(first: int, lease: str, now: datetime) -> None:
    """Run the parts of a sweep from `first` if it holds the lease; after a second, letters go first."""
    parts = (*REPAIRS, hint_due_work, *PERIODIC_TASKS)
    start = time.monotonic()
    next_check = start  # not before every part: most parts take only as long as a check, a few milliseconds
    try:
        for number in range(first, len(parts)):
            if time.monotonic() >= next_check:
                if not queue.hold_lease(schedule.SWEEP_ID, lease, SWEEP_LEASE):
                    return
                must_yield = number > first and _should_yield(time.monotonic() - start)
                if must_yield and queue.enqueue("continue_sweep", number, lease, now.timestamp()):
                    # The jobs ahead of it, such as the starts of a thousand mailings, take less time than
                    # this.
                    queue.hold_lease(schedule.SWEEP_ID, lease, HANDOVER_LEASE)
                    return
                next_check = time.monotonic() + SWEEP_CHECK
            parts[number](now)
            db.session.rollback()  # a read transaction that stays open would block writers on SQLite
    except BaseException:  # also a job timeout: the next sweep must not wait for the lease to expire
        queue.end_lease(schedule.SWEEP_ID, lease)
        raise
    queue.end_lease(schedule.SWEEP_ID, lease)


def run_sweep(now: datetime) -> DueWork:
    """Repair the ledger, repeat all hints and run the periodic tasks, without letting other jobs go first.

    Return the work that is due. If Redis is unavailable, raise RedisError after the database has been
    repaired.
    """
    for repair in REPAIRS:
        repair(now)
    found = hint_due_work(now)
    for task in PERIODIC_TASKS:
        task(now)
    return found


def _should_yield(elapsed: float) -> bool:
    """Return whether a job should yield the worker to other jobs and runs after `elapsed` seconds."""
    settings = engine_settings()
    if elapsed > settings.slice_seconds or worker.stop_is_requested():
        return True
    next_turn = turns.peek()
    if elapsed <= settings.least_slice_seconds:
        return next_turn is not None and next_turn.is_urgent
    return next_turn is not None or queue.others_are_waiting()
