"""Benchmark an idle service: how long it takes to start, and how much memory its processes use."""

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator

from bench.postfix import find_free_port
from bench.process_usage import list_tree, read_proportional_memory
from bench.rows import Row, Sizes
from bench.service import FLASK, PROJECT_DIR, MeasurementFailed
from bench.testbed import Testbed

START_SECONDS = 120
SETTLE_SECONDS = 20  # by then, each periodic task has run at least once
MAX_MB, GOAL_MB = 300, 250


def idle(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Measure a new installation that is started with `flask up`, as in the README."""
    directory = testbed.directory / "idle"
    directory.mkdir(mode=0o700)
    port = find_free_port()
    environment = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    environment |= {"DATA_DIR": str(directory), "PORT": str(port), "MAIL_PORT": str(find_free_port())}
    with (directory / "up.log").open("wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*FLASK, "up", "--migrate"], cwd=PROJECT_DIR, env=environment, stdout=log, stderr=log
        )
        try:
            wait_until_ready(process, port)
            seconds = time.perf_counter() - start
            time.sleep(SETTLE_SECONDS)
            sizes = [read_proportional_memory(pid) for pid in list_tree(process.pid)]
        finally:
            process.terminate()
            process.wait(60)
    yield Row(
        "all processes of an idle service: memory, seconds to start with new tables",
        f"{sum(sizes):.0f} MB in {len(sizes)} processes, {seconds:.1f} s",
        f"<= {MAX_MB} MB",
        f"{GOAL_MB} MB",
        sum(sizes) <= MAX_MB,
        {"megabytes": sum(sizes), "processes": len(sizes), "seconds": seconds},
    )


def wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until the website responds."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise MeasurementFailed("the service did not start")


ROWS = {"idle": idle}
