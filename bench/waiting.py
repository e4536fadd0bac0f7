"""Benchmark how long other writes wait while a large mailing is planned."""

import statistics
import threading
import time
from collections.abc import Iterator

from sqlalchemy import text

from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.extensions import db
from skymailing.models import Run

MAX_SECONDS = 0.3
PAUSE = 0.02  # seconds between two writes


def planning_waits(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Plan a mailing while another user writes a row every 20 ms."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            owner = service.add_owner(sizes.many)
            mailing = service.add_mailing(owner, utcnow())
            service.pause_workers()
            with service.app.app_context():
                db.engine.dispose()
            planning, waits = measure(service, mailing, sizes.many)
        yield Row(
            f"longest write while {sizes.many:,} recipients are planned, {database}",
            f"{max(waits) * 1000:.0f} ms, median {statistics.median(waits) * 1000:.0f} ms; "
            f"planned in {planning:.1f} s",
            f"<= {MAX_SECONDS} s" if database == SQLITE else "",
            "",
            max(waits) <= MAX_SECONDS if database == SQLITE else None,
            {"planning": planning, "longest": max(waits)},
        )


def measure(service: Service, mailing: int, count: int) -> tuple[float, list[float]]:
    """Return the planning time and the times of the other writes, in seconds."""
    waits: list[float] = []
    stop = threading.Event()

    def write() -> None:
        with service.app.app_context():
            while not stop.wait(PAUSE):
                start = time.perf_counter()
                with db.engine.begin() as connection:
                    connection.execute(text("UPDATE users SET session_epoch = session_epoch + 1"))
                waits.append(time.perf_counter() - start)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    start = time.perf_counter()
    with service.app.app_context():
        run_id = plan.start_due_run(mailing, utcnow())
        seconds = time.perf_counter() - start
        stop.set()
        writer.join()
        run = db.session.get(Run, run_id)
        planned = run.planned if run else 0
        db.session.rollback()
    if planned != count:
        raise MeasurementFailed(f"{planned} letters were planned")
    return seconds, waits


ROWS = {"planning-waits": planning_waits}
