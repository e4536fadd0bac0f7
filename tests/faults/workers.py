"""Workers in processes of their own, to be killed at will."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[2]


def start_worker(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start `flask worker` against the test servers."""
    log = Path(environment["DATA_DIR"]) / "worker.log"
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
            cwd=PROJECT_DIR,
            env={"PATH": os.environ["PATH"]} | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def kill(worker: subprocess.Popen[bytes]) -> None:
    """End a worker as a power switch does."""
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)


@contextmanager
def workers(environment: dict[str, str], count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `count` workers; those that still live at the end are stopped."""
    running = [start_worker(environment) for _ in range(count)]
    try:
        yield running
    finally:
        for worker in running:
            if worker.poll() is None:
                worker.terminate()
        for worker in running:
            worker.wait(30)
