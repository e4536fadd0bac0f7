"""Benchmark webhooks: calls per second to a fast receiver, and the cost of recording events."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from unittest import mock

import trustme
from sqlalchemy import func, select

from bench.rows import Row, Sizes
from bench.sending import WARM_UP, send
from bench.service import PROJECT_DIR, MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing.clock import utcnow
from skymailing.encryption import WEBHOOK_ACCESS, encrypt
from skymailing.events.recording import Event, record
from skymailing.extensions import db
from skymailing.models import CallState, EventType, User, WebhookCall, WebhookEndpoint
from skymailing.webhooks import tasks
from skymailing.webhooks.signatures import make_secret

CALLS = 10_000
ROUNDS = 3
REQUIRED = 1_000  # calls per second
DATA = {"mailing": {"id": 1, "name": "Осенняя распродажа"}, "run_id": 1, "planned": 1_000_000, "letters": {}}


@dataclass(frozen=True)
class Owners:
    """The number of owners, and the number of endpoints of each."""

    owners: int
    endpoints: int

    def __str__(self) -> str:
        return f"{self.owners * self.endpoints} endpoint{'s' if self.owners * self.endpoints > 1 else ''}"


def webhooks(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Measure calls to one endpoint, then to twenty endpoints of ten owners."""
    with receiver(testbed.directory) as port:
        for database in (POSTGRESQL, SQLITE):
            for owners in (Owners(1, 1), Owners(10, 2)):
                with testbed.service(database) as service:
                    yield measure(service, owners, port, database)


@contextmanager
def receiver(directory: Path) -> Iterator[int]:
    """Run a receiver with a valid certificate in its own process; yield its port."""
    authority = trustme.CA()
    chain, trusted = directory / "receiver.pem", directory / "authority.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(chain))
    authority.cert_pem.write_to_path(str(trusted))
    settings = {"SSL_CERT_FILE": str(trusted), "WEBHOOKS_PRIVATE_NETWORKS": "127.0.0.0/8"}
    command = [sys.executable, "-m", "bench.webhook_receiver", str(chain)]
    with (
        mock.patch.dict(os.environ, settings),
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT_DIR, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def measure(service: Service, owners: Owners, port: int, database: str) -> Row:
    """Record events, and measure how long this process takes to send their calls."""
    service.pause_workers()
    with service.app.app_context():
        service.app.config["WEBHOOKS_PRIVATE_NETWORKS"] = (ip_network("127.0.0.0/8"),)
        events = add_endpoints(owners, port)
        start = time.perf_counter()
        for first in range(0, len(events), 100):
            record(db.session.connection(), *events[first : first + 100])
            db.session.commit()
        recorded = CALLS / (time.perf_counter() - start)
        start, cpu = time.perf_counter(), time.process_time()
        tasks.send_due_calls()
        rate = CALLS / (time.perf_counter() - start)
        cpu = (time.process_time() - cpu) / CALLS * 1000
        check_delivered()
    return Row(
        f"calls of webhooks, {owners}, {database}",
        f"{rate:,.0f} per second, {cpu:.2f} s of CPU time per 1,000",
        f"{REQUIRED:,} per second",
        "",
        rate >= REQUIRED,
        {"calls_per_second": rate, "cpu_per_thousand": cpu, "recorded_per_second": recorded},
    )


def add_endpoints(owners: Owners, port: int) -> list[Event]:
    """Add endpoints; return events that cause CALLS calls."""
    now, secret = utcnow(), encrypt(make_secret(), WEBHOOK_ACCESS)
    users = [User(email=f"owner{n}@example.com", password_hash="!") for n in range(owners.owners)]
    db.session.add_all(users)
    db.session.flush()
    for user in users:
        for number in range(owners.endpoints):
            url = f"https://localhost:{port}/{number}"
            values = {"url": url, "events": ["run.finished"], "encrypted_secret": secret}
            db.session.add(WebhookEndpoint(owner_id=user.id, **values))
    db.session.commit()
    count = CALLS // owners.endpoints
    return [Event(users[n % len(users)].id, EventType.RUN_FINISHED, DATA, now) for n in range(count)]


def check_delivered() -> None:
    accepted = (WebhookCall.state == CallState.DELIVERED) & (WebhookCall.attempts == 1)
    count = db.session.scalar(select(func.count()).where(accepted))
    db.session.rollback()
    if count != CALLS:
        raise MeasurementFailed(f"{count} of {CALLS} calls were accepted")


def beside_mailings(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Compare mailings' letters per second with and without waiting webhook calls, in alternating rounds."""
    with receiver(testbed.directory) as port:
        for database in (POSTGRESQL, SQLITE):
            alone, with_calls, remaining = [], [], []
            with testbed.service(database) as service:
                send(testbed, service, WARM_UP)
                with service.app.app_context():
                    events = add_endpoints(Owners(10, 2), port)
                for _ in range(ROUNDS):
                    service.wait_until(partial(has_no_calls, service), "the calls", 120)
                    alone.append(send(testbed, service, sizes.letters))
                    with service.app.app_context():
                        record(db.session.connection(), *events)
                        db.session.commit()
                    with_calls.append(send(testbed, service, sizes.letters))
                    remaining.append(count_waiting(service))
            ratio = statistics.median(with_calls) / statistics.median(alone)
            yield Row(
                f"letters of a mailing while {CALLS:,} calls of webhooks wait, {database}",
                f"{ratio:.2f} x",
                "0.9 x",
                "",
                ratio >= 0.9,
                {"alone": alone, "beside": with_calls, "calls_left": remaining},
            )


def count_waiting(service: Service) -> int:
    with service.app.app_context():
        waiting = select(func.count()).where(WebhookCall.state == CallState.PENDING)
        return db.session.scalar(waiting) or 0


def has_no_calls(service: Service) -> bool:
    return count_waiting(service) == 0


ROWS = {"webhooks": webhooks, "webhooks-beside-mailings": beside_mailings}
