"""Workers in processes of their own, to be killed at will, and a run that they send."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask
from redis import RedisError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from skymailing import jobs, queue
from skymailing.models import Client, Mailing, RunState, User
from tests.delivery.ledger import only_run
from tests.processes.service import wait_until

PROJECT_DIR = Path(__file__).resolve().parents[2]

logger = logging.getLogger(__name__)


def start_process(environment: dict[str, str], name: str) -> subprocess.Popen[bytes]:
    """Start `flask worker`, or another of the service's processes, against the test servers."""
    log = Path(environment["DATA_DIR"]) / f"{name}.log"
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wsgi", name],
            cwd=PROJECT_DIR,
            env={"PATH": os.environ["PATH"]} | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def start_worker(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start `flask worker` against the test servers."""
    return start_process(environment, "worker")


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


def add_clients(session: Session, owner: User, count: int) -> None:
    """Give `owner` many clients, quickly."""
    addresses = [f"c{number}@example.org" for number in range(count)]
    session.add_all(Client(owner_id=owner.id, email=email, email_key=email) for email in addresses)
    session.flush()


@dataclass
class LiveRun:
    """A mailing that workers send while a test hurts them; sweeps come often, and the dead rise again."""

    app: Flask
    environment: dict[str, str]
    session: Session
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, mailing: Mailing) -> None:
        with self.app.app_context():
            queue.enqueue("start_mailing", mailing.id)

    def sweep(self) -> None:
        """Sweep as the scheduler would, and restart what ended as the supervisor would."""
        with self.app.app_context():
            try:
                jobs.sweep()
            except (RedisError, DBAPIError) as error:
                logger.info("this sweep failed: %s", error)
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[number] = start_worker(self.environment)

    def finish(self, seconds: float = 60) -> None:
        """Sweep until the run is over."""

        def is_finished() -> bool:
            self.sweep()
            time.sleep(0.5)
            return only_run(self.session).state is RunState.FINISHED

        wait_until(is_finished, "the run is finished", seconds)


@contextmanager
def live_run(
    app: Flask, environment: dict[str, str], session: Session, mailing: Mailing, count: int = 2
) -> Iterator[LiveRun]:
    """Let `count` workers begin to send a mailing."""
    with workers(environment, count) as running:
        run = LiveRun(app, environment, session, running)
        run.start(mailing)
        yield run
