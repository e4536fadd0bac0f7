"""Hints to workers: look at this mailing, run, import or account now instead of at the next sweep.

Each hint is in the queue at most once under its name. Give hints after the commit. When a job starts, it
calls `queue.clear_hint` with the same name.
"""

from flask import current_app
from redis import RedisError

from skymailing import queue

OUTBOX = "outbox"


def hint_outbox() -> None:
    """Ask a worker to send the account letters that are due."""
    queue.hint(OUTBOX, "send_outbox", queue=queue.SYSTEM)


def hint_start(mailing_id: int) -> None:
    """Ask a worker to plan the run of a mailing that is due."""
    queue.hint(start_name(mailing_id), "start_mailing", mailing_id, queue=queue.SYSTEM)


def hint_run(run_id: int) -> None:
    """Ask all workers on all hosts to send a run's letters in parallel."""
    try:
        workers = queue.count_workers()
    except RedisError:
        return  # no hint could be stored; the sweep repeats them
    for slot in range(max(workers, current_app.config["WORKERS"])):
        hint_slice(run_id, slot)


def hint_slice(run_id: int, slot: int) -> None:
    """Ask one worker to send the next letters of a run."""
    queue.hint(slice_name(run_id, slot), "send_slice", run_id, slot)


def hint_import(import_id: int) -> None:
    """Ask a worker to continue an import."""
    queue.hint(import_name(import_id), "import_clients", import_id)


def hint_erasure(user_id: int) -> None:
    """Ask a worker to continue deleting an account."""
    queue.hint(erasure_name(user_id), "erase_account", user_id)


def start_name(mailing_id: int) -> str:
    return f"mailing-{mailing_id}"


def slice_name(run_id: int, slot: int) -> str:
    return f"run-{run_id}-{slot}"


def import_name(import_id: int) -> str:
    return f"import-{import_id}"


def erasure_name(user_id: int) -> str:
    return f"erasure-{user_id}"
