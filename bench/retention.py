"""How fast a run's details go, and how long others wait meanwhile: python -m bench.retention [ATTEMPTS]."""

import logging
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text

from bench.databases import PostgreSQL
from config import load_config
from skymailing import create_app
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.retention import sweep

PROJECT_DIR = Path(__file__).parents[1]
# A row for each number up to :count, on both databases.
NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)"
FILL = (
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


class Neighbour(threading.Thread):
    """Somebody else who writes a row every 20 ms and takes down how long that took."""

    def __init__(self, app: Flask) -> None:
        super().__init__(daemon=True)
        self.app = app
        self.waits: list[float] = []
        self.ends = threading.Event()

    def run(self) -> None:
        with self.app.app_context():
            while not self.ends.wait(0.02):
                begun = time.perf_counter()
                with db.engine.begin() as connection:
                    connection.execute(
                        text("UPDATE users SET session_epoch = session_epoch + 1 WHERE id = 1")
                    )
                self.waits.append(time.perf_counter() - begun)


def fill(count: int) -> None:
    values = {"old": utcnow() - timedelta(days=100), "count": count}
    with db.engine.begin() as connection:
        for statement in FILL:
            known = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), known)


def measure(app: Flask, count: int, say: Callable[[str], None]) -> None:
    """Sweep until everything is gone, with a neighbour beside."""
    app.config["KEEP"] = replace(app.config["KEEP"], run_details=30)
    with app.app_context():
        upgrade(str(PROJECT_DIR / "migrations"))
        fill(count)
        neighbour = Neighbour(app)
        neighbour.start()
        time.sleep(2)
        alone, neighbour.waits = neighbour.waits, []
        sweeps = []
        while True:
            begun = time.perf_counter()
            removed = sweep.remove_old(utcnow())
            sweeps.append(time.perf_counter() - begun)
            if not removed:
                break
        beside = sorted(neighbour.waits)
        neighbour.ends.set()
        neighbour.join()
        with db.engine.connect() as connection:
            left = connection.execute(text("SELECT count(*) FROM attempts")).scalar_one()
        assert left == 0, left
        in_ms = [1000 * wait for wait in beside]
        say(
            f"{db.engine.dialect.name}: {count:,} attempts with their letters in {len(sweeps) - 1} sweeps"
            f" of at most {max(sweeps):.2f} s, {count / sum(sweeps):,.0f} a second;"
            f" somebody else's write took {statistics.median(in_ms):.0f} ms"
            f" (median; {statistics.median(alone) * 1000:.0f} ms without),"
            f" 99 % under {in_ms[int(len(in_ms) * 0.99)]:.0f} ms, at most {in_ms[-1]:.0f} ms"
        )
        db.engine.dispose()


def main(arguments: list[str]) -> None:
    count = int(arguments[0]) if arguments else 1_000_000
    logging.disable(logging.INFO)  # of migrations
    with tempfile.TemporaryDirectory(prefix="skymailing-bench-") as name:
        directory = Path(name)
        environment = {
            "SKYMAILING_ENV": "testing",
            "SECRET_KEY": "x" * 40,
            "DATA_DIR": str(directory / "data"),
        }
        measure(create_app(load_config(environment)), count, print)
        postgresql = PostgreSQL(directory)
        url = postgresql.create("retention")
        measure(create_app(load_config(environment | {"DATABASE_URL": url})), count, print)
        postgresql.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
