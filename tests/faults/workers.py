"""Start worker processes that a test can kill, and a run for them to send."""

import logging
import os
import random
import signal
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
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.sink import Sink
from tests.processes.service import wait_until
from tests.support.forked import Forked
from tests.support.servers import SmtpServer

SESSIONS = 20  # the maximum per worker
SWEEP_PAUSE = 5.0  # seconds between two sweeps while a test waits for letters

logger = logging.getLogger(__name__)


def start_process(environment: dict[str, str], name: str) -> Forked:
    """Start a process of the service, such as `flask worker`, against the test servers."""
    log = Path(environment["DATA_DIR"]) / f"{name}.log"
    return Forked(name, {"PATH": os.environ["PATH"]} | environment, log)


def start_worker(environment: dict[str, str]) -> Forked:
    """Start `flask worker` against the test servers."""
    return start_process(environment, "worker")


def kill(worker: Forked) -> None:
    """Kill a worker with SIGKILL, and wait until it has ended."""
    worker.send_signal(signal.SIGKILL)
    worker.wait(60)


@contextmanager
def run_workers(environment: dict[str, str], count: int) -> Iterator[list[Forked]]:
    """Run `count` workers; when the block ends, stop those that are still alive."""
    running = [start_worker(environment) for _ in range(count)]
    try:
        yield running
    finally:
        for worker in running:
            if worker.poll() is None:
                worker.terminate()
        for worker in running:
            worker.wait(30)


def wait_for_letters(server: Sink | SmtpServer, count: float) -> None:
    """Return once the mail server has accepted at least `count` letters."""
    wait_until(lambda: len(server.letters) >= count, f"{count} letters")


def add_clients(session: Session, owner: User, count: int) -> None:
    """Create many clients for `owner` quickly."""
    addresses = [f"c{number}@example.org" for number in range(count)]
    session.add_all(Client(owner_id=owner.id, email=email, email_key=email) for email in addresses)
    session.flush()


@dataclass
class LiveRun:
    """A mailing that workers send while a test interferes with them; sweeps restart dead workers."""

    app: Flask
    environment: dict[str, str]
    session: Session
    workers: list[Forked] = field(default_factory=list)

    def start(self, mailing: Mailing) -> None:
        with self.app.app_context():
            queue.enqueue("start_mailing", mailing.id)

    def sweep(self) -> None:
        """Sweep as the scheduler does, and restart ended workers as the supervisor does."""
        with self.app.app_context():
            try:
                jobs.sweep()
            except (RedisError, DBAPIError) as error:
                logger.info("this sweep failed: %s", error)
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[number] = start_worker(self.environment)

    def wait_for_letters(self, server: Sink | SmtpServer, count: int) -> None:
        """Sweep until the mail server has accepted at least `count` letters.

        One sweep is not enough: a killed worker may have been running one and still hold its lease.
        """

        def has_arrived() -> bool:
            if len(server.letters) >= count:
                return True
            time.sleep(0.02)
            if time.monotonic() - swept[0] > SWEEP_PAUSE:
                self.sweep()
                swept[0] = time.monotonic()
            return False

        swept = [time.monotonic()]
        wait_until(has_arrived, f"{count} letters")

    def kill_one(self) -> None:
        """Kill one worker, and sweep."""
        victim = random.choice(self.workers)
        assert victim.poll() is None, "a worker ended without being killed"
        kill(victim)
        self.sweep()

    def finish_despite_kills(self, server: SmtpServer, recipients: int, kills: int) -> None:
        """Kill workers at moments spread over the run, so that letters are being sent at each one."""
        for number in range(kills):
            self.wait_for_letters(server, recipients * (number + 1) // (kills + 2))
            time.sleep(random.uniform(0, 0.05))
            self.kill_one()
        self.finish(180)

    def finish(self, seconds: float = 60) -> None:
        """Sweep every half second until the run has finished."""

        def is_finished() -> bool:
            if time.monotonic() >= due[0]:
                self.sweep()
                due[0] = time.monotonic() + 0.5
            return get_only_run(self.session).state is RunState.FINISHED

        due = [0.0]
        wait_until(is_finished, "the run is finished", seconds)


@contextmanager
def live_run(
    app: Flask, environment: dict[str, str], session: Session, mailing: Mailing, count: int = 2
) -> Iterator[LiveRun]:
    """Start a mailing that `count` workers send."""
    with run_workers(environment, count) as running:
        run = LiveRun(app, environment, session, running)
        run.start(mailing)
        yield run


def check_after_kills(session: Session, server: SmtpServer, recipients: int, kills: int) -> None:
    """Check that the ledger agrees with the server, and that no one got two letters."""
    run = get_only_run(session)
    counts = count_states(session, run)
    check_ledger(session, run, server.letters)
    # At most one letter per session was between DATA and the reply when its worker was killed.
    assert counts.get("unknown", 0) <= kills * SESSIONS
    assert counts["sent"] + counts.get("unknown", 0) == recipients
    assert set(server.per_address().values()) == {1}
