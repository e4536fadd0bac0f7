"""Compare the table of attempts with a table partitioned by month, filled with synthetic rows of two years.

    python -m bench partitions --many 100000000

The tables are filled and measured one after the other, so that the disk need not hold both. 100,000,000
rows take 30 GB and most of an hour.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg

from bench.rows import Row, Sizes
from bench.testbed import Testbed

MONTHS = 24  # of 30 days
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
OWNERS, LETTERS_OF_RUN, RUNS_OF_MAILING = 200, 5_000, 10
WINDOW, WINDOWS = 2_000, 50
LOOK_UPS = 200
SETTINGS = {"wal_level": "minimal", "max_wal_senders": "0", "maintenance_work_mem": "1GB"}
COLUMNS = """id bigint NOT NULL, delivery_id bigint NOT NULL, run_id bigint NOT NULL,
    mailing_id bigint NOT NULL, owner_id bigint NOT NULL, number integer NOT NULL, at timestamptz NOT NULL,
    outcome varchar(16) NOT NULL, code integer, answer text NOT NULL, route varchar(64) NOT NULL"""
# `n` is the number of the row, of `:rows` in two years.
NEW_ROWS = f"""SELECT n, n, n / {LETTERS_OF_RUN}, n / {LETTERS_OF_RUN * RUNS_OF_MAILING},
    n / {LETTERS_OF_RUN * RUNS_OF_MAILING} % {OWNERS}, 1, timestamptz '{BEGIN}' + n * interval '{{step}} s',
    CASE n % 50 WHEN 0 THEN 'failed' ELSE 'sent' END, 250, '2.0.0 Ok: queued as 4Xy' || n, 'default'
    FROM generate_series({{first}}::bigint, {{last}}::bigint) n"""
# The model's indexes. In a partitioned table, a unique index must contain the column of the partitions.
INDEXES = (
    "UNIQUE INDEX ON {table} (id{at})",
    "UNIQUE INDEX ON {table} (delivery_id, number{at})",
    "INDEX ON {table} (run_id, id)",
    "INDEX ON {table} (mailing_id, id)",
    "INDEX ON {table} (owner_id, id)",
    "INDEX ON {table} (owner_id, outcome, id) WHERE outcome <> 'sent'",
    "INDEX ON {table} (mailing_id, outcome, id) WHERE outcome <> 'sent'",
)
QUERIES = {
    "newest lines of an owner's log": "owner_id = {owner} ORDER BY id DESC LIMIT 51",
    "log of a run": "run_id = {run} ORDER BY id DESC LIMIT 51",
    "failed letters of an owner": "owner_id = {owner} AND outcome = 'failed' ORDER BY id DESC LIMIT 51",
    "attempts of a delivery": "delivery_id = {delivery} ORDER BY number",
}


@dataclass
class Figures:
    """The measurements of one table."""

    query_ms: dict[str, float] = field(default_factory=dict)
    window_ms: float = 0.0
    removal_seconds: float = 0.0
    gigabytes: float = 0.0


def partitions(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure look-ups, inserted windows and the removal of the oldest month, with and without partitions."""
    url = testbed.postgresql.create("partitions")
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in SETTINGS.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    testbed.postgresql.restart()
    with psycopg.connect(url, autocommit=True) as connection:
        plain, monthly = (_measure(connection, sizes.many, is_monthly) for is_monthly in (False, True))
    for name, before, after in _pair(plain, monthly):
        yield Row(
            f"{name}, {sizes.many:,} attempts: one table, {MONTHS} partitions",
            f"{before}, {after}",
            "",
            "",
            None,
            {"plain": vars(plain), "partitions": vars(monthly)},
        )


def _pair(plain: Figures, monthly: Figures) -> Iterator[tuple[str, str, str]]:
    for name in QUERIES:
        yield name, f"{plain.query_ms[name]:.2f} ms", f"{monthly.query_ms[name]:.2f} ms"
    yield f"a window of {WINDOW:,} rows", f"{plain.window_ms:.0f} ms", f"{monthly.window_ms:.0f} ms"
    yield "removing the oldest month", f"{plain.removal_seconds:.1f} s", f"{monthly.removal_seconds:.1f} s"
    yield "table and indexes", f"{plain.gigabytes:.1f} GB", f"{monthly.gigabytes:.1f} GB"


def _measure(connection: psycopg.Connection, rows: int, is_monthly: bool) -> Figures:
    span = MONTHS * 30 * 86_400
    _fill(connection, rows, span / rows, is_monthly)
    figures = Figures()
    last_run = rows // LETTERS_OF_RUN
    for name, condition in QUERIES.items():
        times = []
        for number in range(LOOK_UPS):
            part = number / LOOK_UPS  # of all owners, runs and deliveries
            values = {"owner": number % OWNERS, "run": int(last_run * part), "delivery": int(rows * part) + 1}
            begin = time.perf_counter()
            connection.execute(f"SELECT * FROM attempts WHERE {condition.format(**values)}").fetchall()
            times.append((time.perf_counter() - begin) * 1000)
        figures.query_ms[name] = statistics.median(times[LOOK_UPS // 10 :])
    windows = []
    for number in range(WINDOWS):
        first = rows + 1 + number * WINDOW
        begin = time.perf_counter()
        connection.execute(
            f"INSERT INTO attempts {NEW_ROWS.format(step=span / first, first=first, last=first + WINDOW - 1)}"
        )
        windows.append((time.perf_counter() - begin) * 1000)
    figures.window_ms = statistics.median(windows)
    figures.gigabytes = _find_size(connection) / 1e9
    begin = time.perf_counter()
    if is_monthly:
        connection.execute("DROP TABLE attempts_0")
    else:  # by run, as the retention does
        connection.execute("DELETE FROM attempts WHERE run_id < %s", (last_run // MONTHS,))
        connection.execute("VACUUM attempts")
    figures.removal_seconds = time.perf_counter() - begin
    connection.execute("DROP TABLE attempts")
    return figures


def _fill(connection: psycopg.Connection, rows: int, step: float, is_monthly: bool) -> None:
    with connection.transaction():  # a table created in the same transaction needs no write-ahead log
        partitioned = " PARTITION BY RANGE (at)" if is_monthly else ""
        connection.execute(f"CREATE TABLE attempts ({COLUMNS}){partitioned}")
        for month in range(MONTHS + 1) if is_monthly else ():
            begin, end = (BEGIN + timedelta(days=30 * number) for number in (month, month + 1))
            connection.execute(
                f"CREATE TABLE attempts_{month} PARTITION OF attempts "
                f"FOR VALUES FROM ('{begin}') TO ('{end}')"
            )
        connection.execute(f"INSERT INTO attempts {NEW_ROWS.format(step=step, first=1, last=rows)}")
        for index in INDEXES:
            connection.execute("CREATE " + index.format(table="attempts", at=", at" if is_monthly else ""))
    connection.execute("VACUUM ANALYZE attempts")


def _find_size(connection: psycopg.Connection) -> int:
    found = connection.execute(
        "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class "
        "WHERE relname LIKE 'attempts%' AND relkind = 'r'"
    ).fetchone()
    assert found is not None
    return int(found[0])


ROWS = {"partitions": partitions}
