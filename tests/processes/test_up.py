"""Test `flask up`, whose supervisor starts, restarts and stops all processes."""

import os
import re
import signal
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from skymailing.processes import instance_lock
from skymailing.processes.supervisor import FAILURES_TO_REPORT, ConsoleSupervisor, Options
from skymailing.settings.redis_socket import embedded_redis_url, redis_socket
from tests.processes.service import Service, is_gone, is_listening, wait_until
from tests.support.ports import find_free_port

STOP_SECONDS = 20
VISITOR_PAUSE = (
    0.05  # seconds between requests; without it, visitors would take processor time from the service
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service that tests may damage but not stop."""
    service = Service(tmp_path_factory.mktemp("up") / "data")
    service.start()
    yield service
    service.stop()


@pytest.fixture
def own_service(service: Service, tmp_path: Path) -> Iterator[Service]:
    """Run a service that a test may stop; its folder's name contains special characters."""
    own = Service(tmp_path / "my #1 data; 100%")
    copy_tables(service, own)
    own.start()
    yield own
    own.stop()


def copy_tables(service: Service, new: Service) -> None:
    """Copy the tables of another service to a new one: creating them takes longer than starting it."""
    new.data_dir.mkdir(mode=0o700)
    with closing(sqlite3.connect(service.data_dir / "skymailing.db")) as tables:
        tables.execute("VACUUM INTO ?", [str(new.data_dir / "skymailing.db")])


def test_the_console_shows_where_the_site_the_letters_and_the_logs_are(service: Service) -> None:
    assert service.console.splitlines() == [
        "Starting ...",
        f"SkyMailing is running: {service.url}/",
        f"Letters are kept here instead of being sent: {service.url}/outbox/",
        f"Logs are in {service.data_dir / 'logs'}. Press Ctrl-C to stop SkyMailing.",
    ]


def test_all_files_are_private(service: Service) -> None:
    wait_until(service.is_ready, "all processes are ready")
    files = [service.data_dir, *service.data_dir.rglob("*")]
    assert len(files) > 10
    assert [str(path) for path in files if stat.S_IMODE(path.lstat().st_mode) & 0o077] == []


def test_a_visitor_cannot_change_the_sites_url_prefix(service: Service) -> None:
    with closing(HTTPConnection("127.0.0.1", service.port, timeout=20)) as connection:
        for path in ("/auth", "/elsewhere"):
            connection.request("GET", "/auth/login", headers={"SCRIPT_NAME": path, "Script-Name": path})
            response = connection.getresponse()
            text = response.read().decode()
            assert response.status == 200
            assert 'action="/auth/login"' in text


def test_all_processes_are_ready_and_doctor_finds_no_problem(service: Service) -> None:
    wait_until(service.is_ready, "all processes are ready")

    result = service.run("doctor")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "PROBLEM" not in result.stdout


@pytest.mark.parametrize("name", ["worker", "scheduler", "redis", "catcher", "web"])
def test_a_killed_process_is_restarted(service: Service, name: str) -> None:
    wait_until(service.is_ready, "all processes are ready")
    old_pid = service.pids()[name]

    os.kill(old_pid, signal.SIGKILL)

    wait_until(lambda: service.pids()[name] != old_pid, f"{name} is restarted")
    wait_until(lambda: is_listening(service.mail_port), "the catcher listens")
    wait_until(service.is_ready, "all processes are ready again")


def test_a_second_start_reports_the_running_service(service: Service) -> None:
    result = service.run("up")

    assert result.returncode == 1
    assert f"already running at {service.url} (pid {service.process.pid})" in result.stderr


def test_a_port_in_use_is_reported_with_its_variable(service: Service, tmp_path: Path) -> None:
    settings = {"DATA_DIR": str(tmp_path / "other"), "MAIL_PORT": str(find_free_port())}

    result = service.run("up", "--migrate", **settings)

    assert result.returncode == 1
    assert f"port {service.port} " in result.stderr
    assert re.search(r"\bPORT=\d+", result.stderr)


def test_a_mail_catcher_port_in_use_is_reported_with_its_variable(service: Service, tmp_path: Path) -> None:
    settings = {"DATA_DIR": str(tmp_path / "other"), "PORT": str(find_free_port())}

    result = service.run("up", "--migrate", **settings)

    assert result.returncode == 1
    assert f"port {service.mail_port} " in result.stderr
    assert "MAIL_PORT=" in result.stderr


def test_a_program_of_another_protocol_is_not_a_running_site(service: Service) -> None:
    wait_until(lambda: is_listening(service.mail_port), "the catcher listens")

    assert instance_lock.responds(f"{service.url}/healthz")
    assert not instance_lock.responds(f"http://127.0.0.1:{service.mail_port}/healthz")


def test_a_database_without_tables_is_reported_with_a_remedy(tmp_path: Path) -> None:
    result = Service(tmp_path / "data").run("up")

    assert result.returncode == 1
    assert "flask --app wsgi db upgrade" in result.stderr


def test_ctrl_c_finishes_the_job_and_leaves_nothing_behind(own_service: Service) -> None:
    wait_until(own_service.is_ready, "all processes are ready")
    start_job(own_service)

    assert own_service.press_ctrl_c() == 0

    check_stopped_in_order(own_service)
    assert not is_listening(own_service.port)
    assert not is_listening(own_service.mail_port)
    assert not redis_socket(
        own_service.data_dir
    ).parent.exists()  # outside DATA_DIR, because of its special characters


@pytest.mark.parametrize(
    ("signal_", "in_background"),
    [
        (signal.SIGHUP, False),
        (signal.SIGINT, False),
        (signal.SIGTERM, False),
        (signal.SIGHUP, True),
        (signal.SIGTERM, True),
    ],
)
def test_each_signal_stops_the_service_in_order_under_load(
    service: Service, tmp_path: Path, signal_: signal.Signals, in_background: bool
) -> None:
    """Background jobs of a shell ignore SIGINT, so they are tested with the other signals only."""
    own = Service(tmp_path / "data")
    copy_tables(service, own)
    own.start(in_background=in_background)
    try:
        wait_until(own.is_ready, "all processes are ready")
        with run_visitors(own, 4):
            start_job(own)
            start = time.monotonic()
            os.kill(own.process.pid, signal_)
            assert own.process.wait(60) == 0
            duration = time.monotonic() - start
    finally:
        own.stop()

    check_stopped_in_order(own)
    assert own.console.splitlines()[-1] == "Stopped."
    # Allow more time on a machine with other work.
    assert duration < STOP_SECONDS * max(1, os.getloadavg()[0] / (os.cpu_count() or 1))


def start_job(service: Service) -> None:
    """Let the worker start a job that waits for the database until the worker has been asked to stop."""
    path = service.data_dir / "skymailing.db"
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
    with Redis.from_url(embedded_redis_url(service.data_dir)) as redis:
        queue = Queue("system", connection=redis, serializer=JSONSerializer)
        # The first sweep needs the database, too, and would wait for it before the worker starts this job.
        wait_until(lambda: not queue.count and not queue.started_job_registry.count, "the worker is idle")
        database.execute("BEGIN IMMEDIATE")
        job = queue.enqueue("skymailing.jobs.start_mailing", 1)
        wait_until(lambda: job.get_status() == "started", "the worker has started the job")
    threading.Thread(target=unlock_when_stopping, args=[service, database]).start()


def unlock_when_stopping(service: Service, database: sqlite3.Connection) -> None:
    """Close the database as soon as the worker is the next program to stop."""
    try:
        wait_until(lambda: "stopped: scheduler" in service.log("supervisor"), "the scheduler has stopped", 60)
        time.sleep(0.5)  # the supervisor asks the worker to stop within a tenth of a second
    finally:
        database.close()


def check_stopped_in_order(service: Service) -> None:
    """Check that the job was finished and that all processes ended in order."""
    assert "start_mailing done" in service.log("worker")
    stopped = re.findall(r"stopped: (\S+) ", service.log("supervisor"))
    assert stopped == ["web", "scheduler", "worker", "catcher", "redis"]
    assert all(map(is_gone, service.all_pids()))


@contextmanager
def run_visitors(service: Service, count: int) -> Iterator[None]:
    """Request pages often, over connections that stay open."""
    is_over = threading.Event()

    def visit() -> None:
        while not is_over.is_set():
            with suppress(OSError, HTTPException), closing(service.connect()) as connection:
                while not is_over.wait(VISITOR_PAUSE):
                    connection.request("GET", "/blog/")
                    connection.getresponse().read()
            is_over.wait(0.1)

    threads = [threading.Thread(target=visit) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def test_a_failing_process_is_reported_with_its_log_path(tmp_path: Path) -> None:
    lines: list[str] = []
    console = ConsoleSupervisor(Options(tmp_path), tmp_path, lambda: False, lambda: None, lines.append)

    console._report_failures("web", FAILURES_TO_REPORT)

    assert lines == [f"web keeps stopping and being restarted; see {tmp_path / 'web.log'}."]


def test_children_of_a_killed_supervisor_end_and_the_next_start_works(own_service: Service) -> None:
    own_service.process.kill()
    own_service.process.wait()

    own_service.start()

    wait_until(own_service.is_ready, "all processes are ready")
    new_pids = set(own_service.pids().values())
    wait_until(lambda: all(map(is_gone, own_service.all_pids() - new_pids)), "the old processes are gone")
