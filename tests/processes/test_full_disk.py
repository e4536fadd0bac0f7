"""Test that `flask up` keeps running while its logs and its console cannot be written."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skymailing.queue import WORKER_NAME
from tests.processes.service import PROJECT_DIR, Service, wait_until

LOGS = ("supervisor", "redis", "catcher", "worker", "scheduler", "web")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Run a service whose console and logs are on a full disk."""
    service = Service(tmp_path / "data")
    logs = service.data_dir / "logs"
    logs.mkdir(parents=True)
    for name in LOGS:
        (logs / f"{name}.log").symlink_to("/dev/full")
    with open("/dev/full", "w") as full:
        service.process = subprocess.Popen(
            service.command("up", "--migrate"),
            cwd=PROJECT_DIR,
            env=service.environment,
            stdout=full,
            stderr=full,
            start_new_session=True,
        )
    yield service
    service.stop()


def find_worker(pid: int) -> int | None:
    """Return the process ID of the worker that is a child of this process."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if WORKER_NAME in Path(f"/proc/{child}/cmdline").read_text():
            return int(child)
    return None


@pytest.mark.soak
def test_the_service_survives_a_full_disk_for_its_logs_and_console(service: Service) -> None:
    wait_until(lambda: service.process.poll() is not None or service.is_ready(), "all processes are ready")
    assert service.process.poll() is None
    old = find_worker(service.process.pid)
    assert old

    os.kill(old, signal.SIGKILL)

    wait_until(lambda: find_worker(service.process.pid) not in (None, old), "the worker is restarted")
    wait_until(service.is_ready, "all processes are ready again")
    service.process.terminate()
    assert service.process.wait(60) == 0


def write_lines(directory: Path) -> None:
    """Write more lines than fit, first with and then without a limit on the size of files."""
    from supervisor.loggers import LevelsByName, LogRecord

    from skymailing.processes.log_files import LogFile

    os.chdir(directory)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    log = LogFile("child.log", maxBytes=1_000, backupCount=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
    for _ in range(20):
        log.emit(LogRecord(LevelsByName.INFO, b"lost or kept, but never an error ..........\n"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for number in range(30):
        log.emit(LogRecord(LevelsByName.INFO, b"line %d, written when there is room again\n" % number))
    log.close()


def test_a_log_is_written_and_rotated_again_when_there_is_room(tmp_path: Path) -> None:
    code = f"import sys, pathlib; from {__name__} import write_lines; write_lines(pathlib.Path(sys.argv[1]))"
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=PROJECT_DIR, capture_output=True, text=True
    )

    assert (result.returncode, result.stderr) == (0, "")
    newest = (tmp_path / "child.log").read_text()
    older = (tmp_path / "child.log.1").read_text()
    assert "line 29, written" in older + newest
    assert len(newest) <= 1_000
