"""Test that access to Redis cannot be used to run code: only our jobs run, and all values are JSON.

Redis itself is private.
"""

import base64
import contextlib
import inspect
import json
import os
import pickle
import socket
import stat
import subprocess
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing import jobs, queue, schedule
from skymailing.extensions import cache
from skymailing.processes.embedded_redis import redis_command
from skymailing.settings.redis_socket import redis_socket
from tests.support.servers import RedisServer

pytestmark = [
    pytest.mark.one_engine,
    # RQ reports that a forged job has failed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


class Bomb:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, (f"touch {self.trace}",)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Return the path of a file that exists once the pickled command has run."""
    return tmp_path / "ran"


def test_the_bomb_runs_when_it_is_unpickled(trace: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(trace)))
    assert trace.exists()


@pytest.mark.parametrize("field", ["data", "meta", "description", "result", "exc_info"])
def test_a_forged_pickle_in_a_queue_is_not_loaded(
    app: Flask, work: Callable[[], None], redis_server: RedisServer, trace: Path, field: str
) -> None:
    redis = redis_server.client
    bomb = pickle.dumps(Bomb(trace))
    with app.app_context():
        job = queue.get_queue(queue.SYSTEM).enqueue("skymailing.jobs.sweep")
        for name in {field, "data"} if field == "data" else {field}:
            redis.hset(f"rq:job:{job.id}", name, bomb)
    work()
    assert not trace.exists()


def test_a_pickled_job_does_not_stop_the_worker(
    app: Flask, work: Callable[[], None], redis_server: RedisServer, trace: Path
) -> None:
    redis = redis_server.client
    redis.hset("rq:job:forged", mapping={"data": pickle.dumps(Bomb(trace)), "origin": queue.SYSTEM})
    redis.rpush(f"rq:queue:{queue.SYSTEM}", "forged")
    redis.sadd("rq:queues", f"rq:queue:{queue.SYSTEM}")
    with app.app_context():
        queue.enqueue("sweep")
    work()
    assert not trace.exists()
    with app.app_context():
        assert queue.get_queue(queue.SYSTEM).count == 0


def test_a_forged_pickle_in_the_schedule_is_not_loaded(
    app: Flask, session: Session, redis_server: RedisServer, trace: Path
) -> None:
    redis = redis_server.client
    with app.app_context():
        scheduler = schedule.make_scheduler()
        past = datetime(2026, 1, 1, tzinfo=UTC)
        scheduler.enqueue_at(past, "skymailing.jobs.sweep", job_id="mailing-7", queue_name=queue.SYSTEM)
        for name in ("data", "meta"):
            redis.hset("rq:job:mailing-7", name, pickle.dumps(Bomb(trace)))
        try:
            list(scheduler.get_jobs_to_queue())
            schedule.reconcile(datetime.now(UTC))
        except ValueError:  # rejected because it is not JSON
            pass
    assert not trace.exists()


def test_a_forged_pickle_in_the_cache_is_not_loaded(
    app: Flask, visitor: FlaskClient, redis_server: RedisServer, trace: Path
) -> None:
    visitor.get("/")
    visitor.get("/blog/")
    bomb = pickle.dumps(Bomb(trace))
    redis = redis_server.client
    cached = [key for key in redis.scan_iter("skymailing:cache:*") if redis.type(key) == b"string"]
    assert cached
    for key in cached:
        redis.set(key, b"!" + bomb if b"version" in key else bomb)
    redis.set("skymailing:cache:x", bomb)
    with app.app_context(), pytest.raises(ValueError):
        cache.get("x")
    assert not trace.exists()


def forge(redis_server: RedisServer, data: list[object], **fields: str) -> None:
    """Write a job to the queue by hand, as someone with access to Redis could."""
    redis = redis_server.client
    written = {"data": json.dumps(data), "origin": queue.SYSTEM, "status": "queued", **fields}
    redis.hset("rq:job:forged", mapping=written)  # type: ignore[arg-type]
    redis.rpush(f"rq:queue:{queue.SYSTEM}", "forged")
    redis.sadd("rq:queues", f"rq:queue:{queue.SYSTEM}")


def test_only_our_jobs_are_imported(work: Callable[[], None], redis_server: RedisServer, trace: Path) -> None:
    for name in ("subprocess.check_output", "skymailing.jobs.current_app", "skymailing.jobs.run_sweep"):
        forge(redis_server, [name, None, [["touch", str(trace)]], {}])
        work()
        assert not trace.exists()
        assert redis_server.client.hget("rq:job:forged", "status") == b"failed"


@pytest.mark.parametrize(
    "callback", ["success_callback_name", "failure_callback_name", "stopped_callback_name"]
)
def test_callbacks_are_rejected(
    work: Callable[[], None],
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    callback: str,
) -> None:
    (tmp_path / "foreign_module.py").write_text("from pathlib import Path\nPath(__file__ + '.ran').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    # `sweep` succeeds, and with one argument too many it fails.
    arguments: list[object] = [1] if callback == "failure_callback_name" else []
    forge(redis_server, ["skymailing.jobs.sweep", None, arguments, {}], **{callback: "foreign_module.run"})
    work()
    assert not (tmp_path / "foreign_module.py.ran").exists()
    assert redis_server.client.hget("rq:job:forged", "status") == b"failed"


def test_methods_of_values_are_rejected(
    app: Flask, work: Callable[[], None], redis_server: RedisServer
) -> None:
    """If a job contained an instance, rq would call the instance's method with the job's name."""
    for instance in ("text", {"a": 1}):
        forge(redis_server, ["skymailing.jobs.sweep", instance, [], {}])
        work()
        assert redis_server.client.hget("rq:job:forged", "status") == b"failed"
        assert b"ForeignJob" in read_error(redis_server)


def read_error(redis_server: RedisServer) -> bytes:
    """Return why the forged job failed."""
    results: Any = redis_server.client.xrevrange("rq:results:forged", count=1)
    return zlib.decompress(base64.b64decode(results[0][1][b"exc_string"]))


def test_webhooks_are_rejected(work: Callable[[], None], redis_server: RedisServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        webhooks = [{"url": url, "job_status": status} for status in ("finished", "failed")]
        forge(redis_server, ["skymailing.jobs.sweep", None, [], {}], webhooks=json.dumps(webhooks))
        work()
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert redis_server.client.hget("rq:job:forged", "status") == b"failed"


def test_the_scheduler_imports_no_queue_class(
    app: Flask, session: Session, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "foreign_queue.py").write_text("from pathlib import Path\nPath(__file__ + '.ran').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with app.app_context():
        scheduler = schedule.make_scheduler()
        past = datetime(2026, 1, 1, tzinfo=UTC)
        scheduler.enqueue_at(past, "skymailing.jobs.sweep", job_id="mailing-7", queue_name=queue.SYSTEM)
        meta = json.dumps({"queue_class_name": "foreign_queue.Queue"})
        redis_server.client.hset("rq:job:mailing-7", "meta", meta)
        for job in list(scheduler.get_jobs_to_queue()):
            scheduler.enqueue_job(job)
        assert not (tmp_path / "foreign_queue.py.ran").exists()
        assert queue.get_queue(queue.SYSTEM).count == 0
        assert "mailing-7" not in {job.id for job in scheduler.get_jobs()}


def test_the_list_of_jobs_names_every_job() -> None:
    functions = [value for value in vars(jobs).values() if inspect.isfunction(value)]
    decorated = {
        function.__name__
        for function in functions
        if function.__module__ == jobs.__name__ and hasattr(function, "__wrapped__")
    }
    assert decorated == set(queue.JOBS)


def test_no_module_imports_pickle() -> None:
    package = Path(queue.__file__).parent
    users = [path for path in package.rglob("*.py") if "import pickle" in path.read_text()]
    assert users == []


def test_every_job_in_redis_is_json(app: Flask, session: Session, redis_server: RedisServer) -> None:
    with app.app_context():
        queue.enqueue("import_clients", 7)
        schedule.make_scheduler().enqueue_at(
            datetime(2030, 1, 1, tzinfo=UTC), "skymailing.jobs.start_mailing", 7, job_id="mailing-7"
        )
    jobs = list(redis_server.client.scan_iter("rq:job:*"))
    assert len(jobs) == 2
    for key in jobs:
        raw = redis_server.client.hget(key, "data")
        assert isinstance(raw, bytes)
        with contextlib.suppress(zlib.error):
            raw = zlib.decompress(raw)
        assert json.loads(raw)[2] == [7]


def test_the_embedded_redis_is_in_a_private_directory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    command = redis_command(data)
    directory = redis_socket(data).parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert (options["--port"], options["--unixsocketperm"]) == ("0", "700")
    directory.chmod(0o777)  # as if someone had changed its mode
    redis_command(data)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_running_redis_has_no_port_and_a_private_socket(redis_server: RedisServer) -> None:
    assert redis_server.client.config_get("port")["port"] == "0"
    path = redis_socket(redis_server.data_dir)
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    listening = subprocess.run(
        ["cat", f"/proc/{redis_server.process.pid}/net/unix"], capture_output=True, text=True, check=False
    )
    assert not listening.stdout or str(path) in listening.stdout
