"""Run the service under test, with its own database and Redis, real workers and a real scheduler."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flask import Flask
from redis import RedisError
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.orm import Session

from bench.letters import BODY, CITY, SUBJECT
from config import load_config
from skymailing import create_app, queue
from skymailing.clock import utcnow
from skymailing.db import migrations
from skymailing.models import (
    Attempt,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Message,
    MessageFormat,
    Run,
    RunState,
    User,
)
from skymailing.processes.embedded_redis import redis_command
from skymailing.settings.redis_socket import embedded_redis_url

PROJECT_DIR = Path(__file__).resolve().parents[1]
START_SECONDS = 15  # for each worker
FLASK = [sys.executable, "-m", "flask", "--app", "wsgi"]

# The statement works on both databases. Clients have names, so that letters are personalized.
INSERT_CLIENTS = text(
    """INSERT INTO clients
        (owner_id, email, email_key, full_name, comment, attributes, created_at, updated_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
    SELECT :owner, 'client' || n || '@example.org', 'client' || n || '@example.org', 'Клиент ' || n, '',
           CAST(:attributes AS TEXT), :now, :now
    FROM numbers"""
)


class MeasurementFailed(Exception):
    """A measurement did not end as expected."""


@dataclass(frozen=True)
class Ledger:
    """The final counts of a run."""

    counts: dict[DeliveryState, int]
    attempts: int
    planned: int


class Service:
    """An installation with production settings; create it with `running_service`."""

    def __init__(
        self, directory: Path, database_url: str, mail_port: int, workers: int, hosts: int = 1
    ) -> None:
        self.directory = directory
        self.worker_count = workers
        self._host_count = hosts
        directory.mkdir(parents=True)
        self.environment = {
            "SKYMAILING_ENV": "production",
            "SECRET_KEY": "only-for-benchmarks-" * 2,
            "DATABASE_URL": database_url,
            "REDIS_URL": embedded_redis_url(directory),
            "DATA_DIR": str(directory),
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(mail_port),
            "MAIL_DEFAULT_SENDER": "letters@sky.example",
            "PUBLIC_URL": "https://sky.example",
            "WORKERS": str(workers),
        }
        self.app: Flask = create_app(load_config(self.environment))
        with self.app.app_context():
            migrations.upgrade()
        # An engine for measurements; in autocommit mode, its reads do not block the workers' writes.
        self.engine = create_engine(
            self.app.config["SQLALCHEMY_DATABASE_URI"],
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            pool_pre_ping=True,
        )
        self._named: dict[str, subprocess.Popen[bytes]] = {}
        # Whether processes that exit are restarted, as in production; if not, an exit is a failure.
        self.is_supervised = False
        self._workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start Redis, the workers and the scheduler."""
        self._spawn("redis", redis_command(self.directory))
        with self.app.app_context():
            queue.wait_for_redis()
            self._workers = [
                self._spawn(f"worker-{number}", [*FLASK, "worker"], number % self._host_count)
                for number in range(self.worker_count)
            ]
            self._spawn("scheduler", [*FLASK, "scheduler"])
            self.wait_until(
                lambda: queue.count_workers() == self.worker_count,
                "the workers",
                START_SECONDS * self.worker_count,
            )

    def stop(self) -> None:
        """Stop all processes, Redis last."""
        self.resume_workers()
        for process in reversed(self._named.values()):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        self.engine.dispose()

    def pause_workers(self) -> None:
        """Pause the scheduler and the workers, so that only the caller uses processor time."""
        self._named["scheduler"].send_signal(signal.SIGSTOP)
        time.sleep(3)  # gives the workers time to release their locks
        for worker in self._workers:
            worker.send_signal(signal.SIGSTOP)

    def resume_workers(self) -> None:
        """Resume all paused processes."""
        for process in self._named.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)

    def stop_redis_for(self, seconds: float) -> None:
        """Stop Redis, and start it again after `seconds`."""
        redis = self._named["redis"]
        redis.terminate()
        redis.wait(30)
        time.sleep(seconds)
        self._spawn("redis", redis_command(self.directory))
        with self.app.app_context():
            queue.wait_for_redis()

    def _restart_exited(self) -> None:
        for name in [name for name in self._named if name.startswith(("worker", "scheduler"))]:
            if self._named[name].poll() is not None:
                self._spawn(name, [*FLASK, name.partition("-")[0]])
        self._workers = [process for name, process in self._named.items() if name.startswith("worker")]

    def _spawn(self, name: str, command: list[str], host: int = 0) -> subprocess.Popen[bytes]:
        """Start a process; each host has its own DATA_DIR."""
        data_dir = self.directory / f"host-{host}" if host else self.directory
        data_dir.mkdir(exist_ok=True)
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=PROJECT_DIR,
                env=os.environ | self.environment | {"DATA_DIR": str(data_dir)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._named[name] = process
        return process

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait until `condition` is true; raise MeasurementFailed with the end of the workers' logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.is_supervised:
                self._restart_exited()
            if time.monotonic() > deadline or any(worker.poll() is not None for worker in self._workers):
                raise MeasurementFailed(
                    f"timed out or lost a worker while waiting for {what}\n{self._read_log_tails()}"
                )
            time.sleep(0.1)

    def _read_log_tails(self) -> str:
        return "\n".join(
            f"{log.name}: {log.read_text(errors='replace')[-1500:]}"
            for log in self.directory.glob("worker-*.log")
        )

    @property
    def worker_pids(self) -> list[int]:
        return [worker.pid for worker in self._workers]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._named.values()]

    def add_owner(self, clients: int) -> int:
        """Create a user with this number of clients; return the user's ID."""
        with Session(self.engine) as session:
            owner = User(
                email=f"owner-{time.monotonic_ns()}@sky.example",
                password_hash="",
                name="ООО «Небо»",
                confirmed_at=utcnow(),
                trusted_at=utcnow(),
            )
            session.add(owner)
            session.flush()
            statement = INSERT_CLIENTS
            if self.engine.dialect.name == "postgresql":
                statement = text(str(INSERT_CLIENTS).replace("AS TEXT", "AS JSONB"))
            values = {"owner": owner.id, "count": clients, "now": utcnow()}
            session.execute(statement, values | {"attributes": f'{{"city": "{CITY}"}}'})
            # Update the planner's statistics, as autovacuum would soon do.
            session.execute(text("ANALYZE clients"))
            owner_id = owner.id
        self.skip_indexing()
        return owner_id

    def skip_indexing(self) -> None:
        """Prevent workers from indexing changed clients while something else is measured."""
        with Session(self.engine) as session:
            session.execute(text("DELETE FROM clients_to_index"))

    def add_mailing(self, owner_id: int, starts_at: datetime, body: str = BODY) -> int:
        """Create a mailing to all clients of a user; return its ID."""
        with Session(self.engine) as session:
            message = Message(owner_id=owner_id, subject=SUBJECT, format=MessageFormat.MARKDOWN, body=body)
            mailing = Mailing(
                owner_id=owner_id,
                message=message,
                name="Новости",
                starts_at=starts_at,
                ends_at=starts_at + timedelta(days=1),
                state=MailingState.SCHEDULED,
                next_run_at=starts_at,
            )
            session.add(mailing)
            session.flush()
            return mailing.id

    def start_mailing(self, mailing_id: int) -> datetime:
        """Enqueue the start of a due mailing, as the service does; return the current time."""
        with self.app.app_context():
            now = utcnow()
            queue.enqueue("start_mailing", mailing_id)
            return now

    def find_run(self, mailing_id: int) -> Run | None:
        """Return the mailing's run in its current state."""
        with Session(self.engine) as session:
            return session.scalar(select(Run).where(Run.mailing_id == mailing_id))

    def wait_for_end(self, mailing_id: int, seconds: float) -> Run:
        """Wait until the mailing's run has ended; return the run."""

        def is_over() -> bool:
            run = self.find_run(mailing_id)
            return run is not None and run.state in (RunState.FINISHED, RunState.CANCELLED)

        self.wait_until(is_over, f"mailing {mailing_id} to end", seconds)
        run = self.find_run(mailing_id)
        assert run is not None
        return run

    def read_ledger(self, run: Run) -> Ledger:
        """Count a run's deliveries by state, and its attempts."""
        with Session(self.engine) as session:
            counts = session.execute(
                select(Delivery.state, func.count()).where(Delivery.run_id == run.id).group_by(Delivery.state)
            )
            attempts = session.scalar(select(func.count()).where(Attempt.mailing_id == run.mailing_id))
            return Ledger(dict(counts.tuples().all()), attempts or 0, run.planned)


def check_all_sent(ledger: Ledger, count: int, arrived: int) -> None:
    """Raise MeasurementFailed unless every letter was sent once and every attempt was recorded."""
    expected = Ledger({DeliveryState.SENT: count}, count, count)
    if ledger != expected or arrived != count:
        raise MeasurementFailed(f"expected {count} letters: {ledger}, {arrived} arrived")


@contextlib.contextmanager
def running_service(
    directory: Path, database_url: str, mail_port: int, workers: int = 2, hosts: int = 1
) -> Iterator[Service]:
    """Run a new installation for the duration of a `with` block."""
    service = Service(directory, database_url, mail_port, workers, hosts)
    try:
        service.start()
        yield service
    except RedisError as error:
        raise MeasurementFailed(f"Redis: {error}") from error
    finally:
        service.stop()
