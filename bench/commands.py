"""Benchmark how long a short command takes from start to end."""

import os
import statistics
import subprocess
import time
from collections.abc import Iterator

from bench.rows import Row, Sizes
from bench.service import FLASK, PROJECT_DIR, MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed

TIMES = 15
MAX_SECONDS, GOAL_SECONDS = 0.6, 0.4


def commands(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Run `flask users list` repeatedly in an installation with one user."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            service.add_owner(0)
            service.pause_workers()
            run_users_list(service)  # so that the modules are compiled
            times = [run_users_list(service) for _ in range(TIMES)]
        seconds = statistics.median(times)
        yield Row(
            f"`flask users list`, {database}",
            f"{seconds:.2f} s, at least {min(times):.2f} s in {TIMES} runs",
            f"<= {MAX_SECONDS} s",
            f"{GOAL_SECONDS} s",
            seconds <= MAX_SECONDS,
            {"seconds": times},
        )


def run_users_list(service: Service) -> float:
    """Return the time from the command's start to its end, in seconds."""
    started = time.perf_counter()
    result = subprocess.run(
        [*FLASK, "users", "list"],
        cwd=PROJECT_DIR,
        env=os.environ | service.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if result.returncode or "@sky.example" not in result.stdout:
        raise MeasurementFailed(f"users list: {result.stderr[-1500:]}")
    return seconds


ROWS = {"users-list": commands}
