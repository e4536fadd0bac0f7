"""Kill workers while they send calls: a receiver that drops known IDs sees each event once."""

import os
import random
import ssl
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from skymailing import hints, jobs, queue
from skymailing.clock import utcnow
from skymailing.models import CallState, User, WebhookCall
from skymailing.webhooks.lane import CALLS_PER_TURN, TURNS_PER_ENDPOINT
from tests.faults.workers import kill, start_worker
from tests.processes.service import wait_until
from tests.support.forked import Forked
from tests.webhooks.conftest import SECRET, Emit, MakeEndpoint
from tests.webhooks.receiver import OK, Received, Receiver

EVENTS = 600
KILLS = 4


class Killer:
    """Responds to calls, and kills the worker at some of them: before or after the response."""

    def __init__(self) -> None:
        self.count = 0
        self.victim: Forked | None = None
        self.at: int | None = None

    def respond(self, connection: ssl.SSLSocket, _request: Received) -> bool:
        self.count += 1
        is_now = self.victim is not None and self.at is not None and self.count >= self.at
        if is_now and random.random() < 0.5:
            self._kill()
            return False
        with suppress(OSError):  # the worker is dead already
            connection.sendall(OK)
        if is_now:
            self._kill()
        return True

    def _kill(self) -> None:
        if self.victim is not None and self.victim.poll() is None:
            kill(self.victim)


def expire_leases(app: Flask, session: Session) -> None:
    """Let the time pass after which calls and the lane of a dead worker count as lost."""
    past = utcnow()
    is_leased = WebhookCall.lease_until.is_not(None)
    session.execute(update(WebhookCall).where(is_leased).values(due_at=past, lease_until=past))
    with app.app_context():
        queue.connection().delete(f"skymailing:lease:{hints.WEBHOOKS}")
        queue.clear_hint(hints.WEBHOOKS)
        jobs.sweep()


def has_ended(worker: Forked) -> bool:
    return worker.poll() is not None


def test_events_arrive_although_workers_are_killed(
    app: Flask,
    session: Session,
    environment: dict[str, str],
    trusted: Path,
    certificate: ssl.SSLContext,
    user: User,
    make_endpoint: MakeEndpoint,
    emit: Emit,
) -> None:
    killer = Killer()
    settings = {
        "SSL_CERT_FILE": str(trusted),
        "WEBHOOKS_PRIVATE_NETWORKS": "127.0.0.0/8",
        "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", ""),
    }
    with Receiver(certificate, killer.respond) as receiver:
        make_endpoint(user, 0, url=f"https://localhost:{receiver.port}/hook")
        emit(user, *({"n": n} for n in range(EVENTS)))
        for number in range(KILLS):
            worker = start_worker(environment | settings)
            killer.victim, killer.at = worker, killer.count + random.randint(1, EVENTS // KILLS // 2)
            expire_leases(app, session)
            wait_until(partial(has_ended, worker), f"worker {number} is killed", 150)
        killer.victim = None
        worker = start_worker(environment | settings)
        expire_leases(app, session)
        pending = select(func.count()).where(WebhookCall.state == CallState.PENDING)
        wait_until(lambda: session.scalar(pending) == 0, "all calls are accepted", 150)
        worker.terminate()
        worker.wait(30)

    seen = Counter(receiver.ids)
    first = {request.id: request.verify(SECRET) for request in receiver.requests}
    assert sorted(event["data"]["n"] for event in first.values()) == list(range(EVENTS))
    # Each killed worker had sent calls that it could not record; they are repeated, and no others.
    repeated = sum(seen.values()) - len(seen)
    assert 0 < repeated <= KILLS * CALLS_PER_TURN * TURNS_PER_ENDPOINT
    assert all(request.verify(SECRET) == first[request.id] for request in receiver.requests)
