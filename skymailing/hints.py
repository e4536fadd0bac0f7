"""Prompt workers to look at a mailing, run, import, bulk job or account now, before the next sweep.

Each hint is in the queue at most once under its name. Give hints after the commit. When a job starts, it
calls `queue.clear_hint` with the same name.
"""

import math
from collections.abc import Mapping, Sequence

from flask import current_app
from redis import RedisError
from sqlalchemy import select

from skymailing import queue, turns
from skymailing.db.engine import reading_engine
from skymailing.models import Mailing, Run
from skymailing.settings.engine import engine_settings

OUTBOX = "outbox"
INDEX = "index"
MAILBOX = "mailbox"
SERVER_TESTS = "server-tests"
WEBHOOKS = "webhooks"
SEQUENCES = "sequences"
# Up to this many letters of a step are sent before mailings: they often welcome clients who have just
# confirmed a sign-up.
URGENT_LETTERS = 20
LINK_CHECKS = "link-checks"
RETENTION = "retention"


def hint_outbox() -> None:
    """Ask a worker to send the account letters that are due."""
    queue.hint(OUTBOX, "send_outbox", queue=queue.SYSTEM)


def hint_link_checks() -> None:
    """Ask a worker to check the links of messages whose owners are waiting for the result."""
    queue.hint(LINK_CHECKS, "check_links", queue=queue.SYSTEM)


def hint_start(mailing_id: int) -> None:
    """Ask a worker to plan the run of a mailing that is due."""
    queue.hint(make_start_name(mailing_id), "start_mailing", mailing_id, queue=queue.SYSTEM)


def hint_run(run_id: int) -> None:
    """Ask as many workers as its letters need, on all hosts, to send a run in parallel."""
    statement = select(Mailing.owner_id, Run.planned).join(Run.mailing).where(Run.id == run_id)
    with reading_engine().connect() as connection:
        run = connection.execute(statement).one_or_none()
    if run is not None:
        windows = math.ceil(run.planned / engine_settings().first_window)
        _hint([(run.owner_id, run_id)], max_slots=max(1, windows))


def hint_letters(owner_id: int, run_id: int) -> None:
    """Ask a worker to send transactional letters next, before those of mailings."""
    turns.add([turns.Turn(owner_id, run_id, turns.URGENT)])
    # Small jobs come first, and a worker that sends a mailing stops for them.
    queue.hint(make_turn_name(turns.URGENT), "send_slice", run_id, turns.URGENT, queue=queue.SYSTEM)


def hint_runs(runs: Sequence[tuple[int, int]]) -> None:
    """Ask workers to send runs, given as pairs of owner and run, and to take the waiting turns."""
    _hint(runs, max_slots=None)


def _hint(runs: Sequence[tuple[int, int]], max_slots: int | None) -> None:
    try:
        workers = max(queue.count_workers(), current_app.config["WORKERS"])
    except RedisError:
        return  # no hint could be stored; the sweep repeats them
    # With more runs than workers, each run needs only one of them.
    slots = workers if len(runs) <= workers else 1
    turns.add(turns.list_turns(runs, min(slots, max_slots or slots)))
    for slot in range(workers):
        hint_turn(slot)


def hint_turn(slot: int) -> None:
    """Ask one worker to send the letters whose turn it is, if any are waiting."""
    if turn := turns.peek():
        # The job takes the turn that is next when it starts; only older versions use this run ID.
        queue.hint(make_turn_name(slot), "send_slice", turn.run_id, slot)


def hint_import(import_id: int) -> None:
    """Ask a worker to continue an import."""
    queue.hint(make_import_name(import_id), "import_clients", import_id)


def hint_index() -> None:
    """Ask a worker to update the search index."""
    queue.hint(INDEX, "index_clients")


def hint_retention() -> None:
    """Ask a worker to continue removing expired data."""
    queue.hint(RETENTION, "remove_expired")


def hint_mailbox() -> None:
    """Ask a worker to read the mailbox for returned mail."""
    queue.hint(MAILBOX, "read_mailbox")


def hint_server_tests() -> None:
    """Ask a worker to test the mail servers that are waiting for a test."""
    queue.hint(SERVER_TESTS, "test_servers")


def hint_webhooks() -> None:
    """Ask a worker to send the calls of webhooks that are due."""
    queue.hint(WEBHOOKS, "send_webhooks")


def hint_sequences() -> None:
    """Ask a worker to process the sequences: the first letters are often due immediately."""
    queue.hint(SEQUENCES, "advance_sequences", queue=queue.SYSTEM)


def hint_step_letters(letters: Mapping[tuple[int, int], int]) -> None:
    """Ask workers to send the letters of steps; `letters` contains their number by owner and run."""
    for (owner_id, run_id), count in letters.items():
        if count <= URGENT_LETTERS:
            hint_letters(owner_id, run_id)
        else:
            hint_run(run_id)


def hint_bulk_job(job_id: int) -> None:
    """Ask a worker to continue an action on many clients."""
    queue.hint(make_bulk_job_name(job_id), "change_clients", job_id)


def hint_domain(domain_id: int) -> None:
    """Ask a worker to check a domain's records."""
    queue.hint(make_domain_name(domain_id), "check_domain", domain_id)


def hint_erasure(user_id: int) -> None:
    """Ask a worker to continue deleting an account."""
    queue.hint(make_erasure_name(user_id), "erase_account", user_id)


def make_domain_name(domain_id: int) -> str:
    return f"domain-{domain_id}"


def make_start_name(mailing_id: int) -> str:
    return f"mailing-{mailing_id}"


def make_turn_name(slot: int) -> str:
    return f"turn-{slot}"


def make_import_name(import_id: int) -> str:
    return f"import-{import_id}"


def make_bulk_job_name(job_id: int) -> str:
    return f"bulk-{job_id}"


def make_erasure_name(user_id: int) -> str:
    return f"erasure-{user_id}"
