"""`flask up`: one supervisor that starts, mends and stops everything."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from skymailing.processes.embedded_redis import embedded_redis_url, redis_socket
from tests.processes.service import Service, is_gone, listens, wait_until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that tests may hurt, but not stop."""
    service = Service(tmp_path_factory.mktemp("up") / "data")
    service.start()
    yield service
    service.stop()


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """A service that a test may stop; its folder has signs in its name that others trip over."""
    service = Service(tmp_path / "my #1 data; 100%")
    service.start()
    yield service
    service.stop()


def test_the_console_tells_the_address_and_where_letters_are_and_nothing_else(service: Service) -> None:
    assert service.console.splitlines() == [
        "Starting ...",
        f"SkyMailing is running: {service.url}/",
        f"Letters are not sent but kept here: {service.url}/outbox/",
        f"Logs are in {service.data_dir / 'logs'}. Ctrl-C stops it.",
    ]


def test_every_part_is_ready_and_doctor_finds_nothing_wrong(service: Service) -> None:
    wait_until(service.is_ready, "every part is ready")

    answer = service.run("doctor")

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "PROBLEM" not in answer.stdout


@pytest.mark.parametrize("name", ["worker", "scheduler", "redis", "catcher", "web"])
def test_what_is_killed_is_started_again(service: Service, name: str) -> None:
    wait_until(service.is_ready, "every part is ready")
    old = service.pids()[name]

    os.kill(old, signal.SIGKILL)

    wait_until(lambda: service.pids()[name] != old, f"{name} is started again")
    wait_until(lambda: listens(service.mail_port), "the catcher listens")
    wait_until(service.is_ready, "every part is ready again")


def test_a_second_start_says_where_the_first_one_runs(service: Service) -> None:
    answer = service.run("up")

    assert answer.returncode == 1
    assert f"already running at {service.url} (pid {service.process.pid})" in answer.stderr


def test_a_taken_port_is_named_with_its_variable(service: Service, tmp_path: Path) -> None:
    settings = {"DATA_DIR": str(tmp_path / "other"), "MAIL_PORT": str(service.mail_port + 1)}

    answer = service.run("up", "--migrate", **settings)

    assert answer.returncode == 1
    assert f"port {service.port} " in answer.stderr
    assert re.search(r"\bPORT=\d+", answer.stderr)


def test_a_taken_port_of_the_catcher_is_named_with_its_variable(service: Service, tmp_path: Path) -> None:
    settings = {"DATA_DIR": str(tmp_path / "other"), "PORT": str(service.port + 1)}

    answer = service.run("up", "--migrate", **settings)

    assert answer.returncode == 1
    assert f"port {service.mail_port} " in answer.stderr
    assert "MAIL_PORT=" in answer.stderr


def test_a_database_without_tables_is_said_with_the_remedy(tmp_path: Path) -> None:
    answer = Service(tmp_path / "data").run("up")

    assert answer.returncode == 1
    assert "flask --app wsgi db upgrade" in answer.stderr


def test_ctrl_c_lets_a_job_finish_and_leaves_nothing_behind(own_service: Service) -> None:
    wait_until(own_service.is_ready, "every part is ready")
    with Redis.from_url(embedded_redis_url(own_service.data_dir)) as redis:
        queue = Queue("system", connection=redis, serializer=JSONSerializer)
        job = queue.enqueue("time.sleep", 3)
        wait_until(lambda: job.get_status() == "started", "the worker has begun")

    assert own_service.press_ctrl_c() == 0

    assert "time.sleep done" in own_service.log("worker")
    stopped = re.findall(r"stopped: (\S+) ", own_service.log("supervisor"))
    assert stopped == ["web", "scheduler", "worker", "catcher", "redis"]
    assert all(map(is_gone, own_service.all_pids()))
    assert not listens(own_service.port)
    assert not listens(own_service.mail_port)
    assert not redis_socket(own_service.data_dir).parent.exists()  # outside of such a folder


def test_a_killed_supervisor_takes_its_children_along_and_the_next_start_works(own_service: Service) -> None:
    own_service.process.kill()
    own_service.process.wait()

    own_service.start()

    wait_until(own_service.is_ready, "every part is ready")
    newest = set(own_service.pids().values())
    wait_until(lambda: all(map(is_gone, own_service.all_pids() - newest)), "the old processes are gone")
