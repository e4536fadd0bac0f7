"""Measure how fast old data is deleted and how long other writes take: python -m bench.retention [COUNT].

First, sweeps delete the details of a run with COUNT letters. Then an account with COUNT clients is deleted.
"""

import contextlib
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

from flask import Flask, current_app
from sqlalchemy import text

from bench.apps import open_apps
from skymailing.auth import deletion
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.retention import sweep

# Yields one row for each number up to :count; works on both databases.
NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)"
FILL_RUN = (
    """INSERT INTO users (id, email, password_hash, role, name, locale, timezone, blocked_reason,
           session_epoch, created_at, updated_at)
       VALUES (1, 'o@x.example', '', 'user', '', '', 'UTC', '', 0, :old, :old)""",
    """INSERT INTO messages (id, owner_id, subject, format, body, created_at, updated_at)
       VALUES (1, 1, 'x', 'text', 'x', :old, :old)""",
    """INSERT INTO mailings (id, owner_id, message_id, name, sender_name, audience, starts_at, ends_at,
           periodicity, on_unknown, on_late, weekdays, state, state_reason, disabled_reason, created_at,
           updated_at)
       VALUES (1, 1, 1, 'x', '', 'all', :old, :old, 'once', 'resend', 'send', '1234567', 'finished', '', '',
           :old, :old)""",
    """INSERT INTO runs (id, mailing_id, uuid, scheduled_for, state, planned, started_at, finished_at,
           subject, format, body, sender_name, reply_to)
       VALUES (1, 1, '00000000000000000000000000000001', :old, 'finished', :count, :old, :old, 'x', 'text',
           'x', '', '')""",
    f"""INSERT INTO deliveries (run_id, email, email_key, state, attempts, finished_at)
        {NUMBERS} SELECT 1, 'client' || n || '@x.example', 'client' || n || '@x.example', 'sent', 1, :old
        FROM numbers""",
    """INSERT INTO attempts (delivery_id, run_id, mailing_id, owner_id, number, at, outcome, code, answer,
           route)
       SELECT id, 1, 1, 1, 1, :old, 'sent', 250, '2.0.0 Ok: queued as 4XyZ12', 'primary' FROM deliveries""",
)


FILL_ACCOUNT = (
    """INSERT INTO users (id, email, password_hash, role, name, locale, timezone, blocked_reason,
           session_epoch, deletion_at, created_at, updated_at)
       VALUES (2, 'deleted@x.example', '', 'user', '', '', 'UTC', '', 0, :old, :old, :old)""",
    f"""INSERT INTO clients (owner_id, email, email_key, full_name, comment, attributes, created_at,
            updated_at)
        {NUMBERS} SELECT 2, 'client' || n || '@x.example', 'client' || n || '@x.example', 'Client ' || n, '',
            '{{}}', :old, :old
        FROM numbers""",
)
SLICE_SECONDS = 20.0


class ConcurrentWriter(threading.Thread):
    """Another user, who writes a row every 20 ms; `durations` contains the seconds that each write took."""

    def __init__(self, app: Flask) -> None:
        super().__init__(daemon=True)
        self.app = app
        self.durations: list[float] = []
        self.stop = threading.Event()

    def run(self) -> None:
        with self.app.app_context():
            while not self.stop.wait(0.02):
                start = time.perf_counter()
                with db.engine.begin() as connection:
                    connection.execute(
                        text("UPDATE users SET session_epoch = session_epoch + 1 WHERE id = 1")
                    )
                self.durations.append(time.perf_counter() - start)


def fill(statements: tuple[str, ...], count: int) -> None:
    values = {"old": utcnow() - timedelta(days=100), "count": count}
    with db.engine.begin() as connection:
        for statement in statements:
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), used)


def measure(count: int, echo: Callable[[str], None]) -> None:
    """Delete a run's details and then an account, while another user writes."""
    fill(FILL_RUN, count)
    with concurrent_writes() as durations:
        sweeps: list[float] = []
        while run_timed(lambda: sweep.remove_old(utcnow()).removed, sweeps):
            pass
    echo(format_figures(f"{count:,} letters with an attempt each", "sweeps", sweeps, durations, count))
    fill(FILL_ACCOUNT, count)
    with concurrent_writes() as durations:
        slices: list[float] = []
        while run_timed(
            lambda: deletion.erase_slice(2, utcnow(), lambda seconds: seconds > SLICE_SECONDS), slices
        ):
            pass
    echo(format_figures(f"an account with {count:,} clients", "slices", slices, durations, count))
    with db.engine.connect() as connection:
        for table in ("attempts", "deliveries", "clients"):
            remaining = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            assert remaining == 0, f"{remaining} {table}"


T = TypeVar("T")


def run_timed(work: Callable[[], T], seconds: list[float]) -> T:
    start = time.perf_counter()
    result = work()
    seconds.append(time.perf_counter() - start)
    return result


@contextlib.contextmanager
def concurrent_writes() -> Iterator[list[float]]:
    """Run a concurrent writer; yield the growing list of its write durations in seconds."""
    writer = ConcurrentWriter(current_app._get_current_object())  # type: ignore[attr-defined]
    writer.start()
    yield writer.durations
    writer.stop.set()
    writer.join()


def format_figures(what: str, steps: str, seconds: list[float], durations: list[float], count: int) -> str:
    in_ms = sorted(1000 * duration for duration in durations)
    return (
        f"{db.engine.dialect.name}: {what} in {len(seconds)} {steps} of at most {max(seconds):.2f} s,"
        f" {count / sum(seconds):,.0f} per second; a concurrent write took {statistics.median(in_ms):.0f} ms"
        f" (median), 99% under {in_ms[int(len(in_ms) * 0.99)]:.0f} ms, at most {in_ms[-1]:.0f} ms"
    )


def main(arguments: list[str]) -> None:
    count = int(arguments[0]) if arguments else 1_000_000
    for _app in open_apps("retention", KEEP_RUN_DETAILS_DAYS="30"):
        measure(count, print)


if __name__ == "__main__":
    main(sys.argv[1:])
