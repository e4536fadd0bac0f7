"""Benchmark many workers on several hosts, to find out when the database becomes the bottleneck."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from bench.process_usage import read_cpu_seconds
from bench.rows import Row, Sizes
from bench.sending import WARM_UP, send
from bench.service import Service
from bench.testbed import POSTGRESQL, Testbed

SETUPS = ((2, 1), (10, 3))  # workers, hosts
SAMPLE_SECONDS = 0.02
# The events that busy connections wait for, or "running".
ACTIVITY = text("""SELECT coalesce(wait_event_type || ' ' || wait_event, 'running') FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid()""")


def hosts(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Compare two workers on one host with ten on three: CPU time per letter, and waits in the database."""
    for workers, host_count in SETUPS:
        with testbed.service(POSTGRESQL, workers=workers, hosts=host_count) as service:
            send(testbed, service, workers * WARM_UP)
            before = read_cpu_seconds(service.worker_pids), testbed.postgresql.read_cpu_seconds()
            with _sample(service) as activity:
                rate = send(testbed, service, sizes.letters * 2)
            after = read_cpu_seconds(service.worker_pids), testbed.postgresql.read_cpu_seconds()
            used = [(now - then) / sizes.letters / 2 * 1e6 for now, then in zip(after, before, strict=True)]
        shares = {what: count / activity.total() for what, count in activity.most_common(4)}
        yield Row(
            f"{workers} workers, {host_count} DATA_DIRs, PostgreSQL",
            f"{rate:,.0f}/s; CPU per letter: workers {used[0]:.0f} µs, PostgreSQL {used[1]:.0f} µs; its "
            "connections: " + ", ".join(f"{what} {share:.0%}" for what, share in shares.items()),
            "",
            "",
            None,
            {"letters_per_second": rate, "microseconds": used, "activity": activity},
        )


@contextmanager
def _sample(service: Service) -> Iterator[Counter[str]]:
    """Sample and count the events that busy connections wait for."""
    found: Counter[str] = Counter()
    stopped = threading.Event()

    def watch() -> None:
        with service.engine.connect() as connection:
            while not stopped.wait(SAMPLE_SECONDS):
                found.update(connection.execute(ACTIVITY).scalars())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        stopped.set()
        thread.join()


ROWS = {"hosts": hosts}
