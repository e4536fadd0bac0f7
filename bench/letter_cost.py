"""Benchmark the cost of a letter for PostgreSQL: write-ahead log, updates and disk space."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from bench.rows import Row, Sizes
from bench.service import Service
from bench.testbed import POSTGRESQL, Testbed
from skymailing import queue
from skymailing.clock import utcnow
from skymailing.delivery import plan

WARM_UP = 2_000
MAX_WAL, MAX_UPDATES = 1_200, 1
STATISTICS_SECONDS = 12  # by then, idle connections have reported their updates
TABLES = ("deliveries", "attempts")


@dataclass(frozen=True)
class Usage:
    """The server's counters; the difference of two readings is the usage in between."""

    wal: int
    updates: int
    hot_updates: int
    size: int

    @classmethod
    def read(cls, service: Service) -> "Usage":
        with Session(service.engine) as session:
            session.execute(text("SELECT pg_stat_clear_snapshot()"))
            wal = session.scalar(text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"))
            updates, hot_updates = session.execute(
                text("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'deliveries'")
            ).one()
            sizes = [
                session.scalar(text("SELECT pg_total_relation_size(CAST(:name AS regclass))"), {"name": name})
                for name in TABLES
            ]
        return cls(int(wal or 0), updates, hot_updates, sum(size or 0 for size in sizes))


def letter_cost(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Plan and send a mailing, and compute the cost per letter."""
    letters = sizes.letters * 2
    with testbed.service(POSTGRESQL) as service:
        for count in (WARM_UP, letters):
            owner = service.add_owner(count)
            mailing = service.add_mailing(owner, utcnow())
            with Session(service.engine) as session:
                session.execute(text("CHECKPOINT"))
            before = Usage.read(service)
            with service.app.app_context():
                run_id = plan.start_due_run(mailing, utcnow())
            planned = Usage.read(service)
            with service.app.app_context():
                queue.enqueue("wake_run", run_id)
            service.wait_for_end(mailing, 600)
            time.sleep(STATISTICS_SECONDS)
            after = Usage.read(service)
    planning, wal = (planned.wal - before.wal) / letters, (after.wal - before.wal) / letters
    updates = (after.updates - before.updates) / letters
    hot = (after.hot_updates - before.hot_updates) / letters
    yield Row(
        "write-ahead log per letter, PostgreSQL",
        f"{wal:,.0f} bytes, {planning:,.0f} of them for planning",
        f"<= {MAX_WAL:,} bytes",
        "",
        wal <= MAX_WAL,
        {"wal": wal, "planning": planning, "bytes": (after.size - before.size) / letters},
    )
    yield Row(
        "updates per delivery, PostgreSQL",
        f"{updates:.2f}, {hot:.2f} of them without new index entries",
        f"<= {MAX_UPDATES}",
        "",
        updates <= MAX_UPDATES + 0.01,
        {"updates": updates, "hot": hot},
    )


ROWS = {"letter-cost": letter_cost}
