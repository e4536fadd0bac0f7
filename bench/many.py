"""Benchmark many mailings: open runs, simultaneous starts, schedules, and a flood of slow mailings."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing import jobs, queue, schedule
from skymailing.clock import utcnow
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
)

OWNERS = 50
OPEN_RUNS = 5_000
SCHEDULED = 10_000
STARTS, LETTERS_PER_START = 300, 5
FLOOD = 25
# A template that nearly reaches the limit of work per letter.
SLOW_BODY = "{% for a in (1..110) %}{% for b in (1..110) %}{{ a }}{% endfor %}{% endfor %} {{ name }}"


def add_mailings(
    service: Service, owners: list[int], count: int, start: datetime, **values: object
) -> list[int]:
    """Create mailings quickly, for each owner in turn; return their IDs."""
    defaults = {
        "name": "Новости",
        "starts_at": start,
        "ends_at": start + timedelta(days=1),
        "state": MailingState.SCHEDULED,
        "next_run_at": start,
    }
    with Session(service.engine) as session:
        messages = {
            owner: session.scalar(
                insert(Message)
                .values(owner_id=owner, subject="Привет", format=MessageFormat.TEXT, body="Здравствуйте!")
                .returning(Message.id)
            )
            for owner in owners
        }
        rows = [
            {"owner_id": owner, "message_id": messages[owner]} | defaults | values
            for owner in (owners[number % len(owners)] for number in range(count))
        ]
        return list(session.scalars(insert(Mailing).returning(Mailing.id), rows))


def many_runs(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Measure a sweep while thousands of runs are open, half of them with letters to send."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            service.pause_workers()
            _add_open_runs(service)
            with service.app.app_context():
                seconds = []
                for _ in range(3):
                    start = time.perf_counter()
                    found = jobs.run_sweep(utcnow())
                    seconds.append(time.perf_counter() - start)
            if len(found.runs) != OPEN_RUNS // 2:
                raise MeasurementFailed(f"found {len(found.runs)} runs with letters to send")
        yield Row(
            f"a sweep with {OPEN_RUNS:,} open runs, {database}",
            f"{max(seconds):.2f} s, {max(seconds) / OPEN_RUNS * 1000:.2f} ms per run",
            "<= 2 s",
            "0.5 s",
            max(seconds) <= 2,
            {"seconds": seconds},
        )


def _add_open_runs(service: Service) -> None:
    owners = [service.add_owner(0) for _ in range(OWNERS)]
    now = utcnow()
    values = {"state": MailingState.RUNNING, "next_run_at": None}
    mailings = add_mailings(service, owners, OPEN_RUNS, now, **values)
    with Session(service.engine) as session:
        runs = session.scalars(
            insert(Run).returning(Run.id),
            [
                {
                    "mailing_id": mailing,
                    "scheduled_for": now,
                    "started_at": now,
                    "state": RunState.SENDING,
                    "planned": 1,
                    "subject": "",
                    "format": MessageFormat.TEXT,
                    "body": "",
                    "sender_name": "",
                    "reply_to": "",
                }
                for mailing in mailings
            ],
        ).all()
        waiting = {"email": "a@example.org", "email_key": "a@example.org"}
        later = {"state": DeliveryState.DEFERRED, "due_at": now + timedelta(hours=1)}
        pending = {"state": DeliveryState.PENDING, "due_at": None}
        session.execute(
            insert(Delivery),
            [{"run_id": run} | waiting | (later if index % 2 else pending) for index, run in enumerate(runs)],
        )


def many_starts(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Measure mailings that are all due in the same second."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            owners = [service.add_owner(LETTERS_PER_START) for _ in range(OWNERS)]
            start = utcnow() + timedelta(seconds=20)
            add_mailings(service, owners, STARTS, start)
            with service.app.app_context():
                schedule.reconcile(utcnow())
            _wait_for_attempts(service, STARTS * LETTERS_PER_START)
            with Session(service.engine) as session:
                first, last = session.execute(select(func.min(Attempt.at), func.max(Attempt.at))).one()
        to_first, to_last = (first - start).total_seconds(), (last - start).total_seconds()
        yield Row(
            f"{STARTS} mailings due in the same second, {database}",
            f"first letter after {to_first:.1f} s, all {STARTS * LETTERS_PER_START:,} after {to_last:.1f} s",
            "<= 2 s, <= 15 s",
            "",
            to_first <= 2 and to_last <= 15,
            {"first": to_first, "last": to_last},
        )


def _wait_for_attempts(service: Service, count: int) -> None:
    def are_all_sent() -> bool:
        with Session(service.engine) as session:
            return (session.scalar(select(func.count()).select_from(Attempt)) or 0) >= count

    service.wait_until(are_all_sent, f"{count} letters", 180)


def many_scheduled(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Measure how long it takes to reschedule thousands of mailings after Redis has been emptied."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            owners = [service.add_owner(0) for _ in range(OWNERS)]
            service.pause_workers()
            add_mailings(service, owners, SCHEDULED, utcnow() + timedelta(hours=5))
            with service.app.app_context():
                queue.connection().delete(schedule.make_scheduler().scheduled_jobs_key)
                start, calls, repaired = time.perf_counter(), 0, 0
                while repaired < SCHEDULED and calls < 20:
                    repaired += schedule.reconcile(utcnow())
                    calls += 1
                seconds = time.perf_counter() - start
        yield Row(
            f"{SCHEDULED:,} mailings scheduled again, {database}",
            f"{seconds:.1f} s in {calls} sweeps",
            "<= 5 s",
            "",
            repaired >= SCHEDULED and seconds <= 5,
            {"seconds": seconds, "sweeps": calls},
        )


def flood(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure the delay of a user's single letter while another user sends many slow mailings."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            flooder = service.add_owner(200)
            for mailing in (service.add_mailing(flooder, utcnow(), SLOW_BODY) for _ in range(FLOOD)):
                service.start_mailing(mailing)
            _wait_for_attempts(service, 20)
            seconds = []
            for _ in range(sizes.starts):
                small = service.add_mailing(service.add_owner(1), utcnow())
                start = service.start_mailing(small)
                service.wait_for_end(small, 120)
                with Session(service.engine) as session:
                    sent_at = session.scalars(select(Attempt.at).where(Attempt.mailing_id == small)).one()
                seconds.append((sent_at - start).total_seconds())
        yield Row(
            f"one letter while another user sends {FLOOD} slow mailings, {database}",
            f"at most {max(seconds):.1f} s of {len(seconds)}",
            "<= 3 s",
            "1 s",
            max(seconds) <= 3,
            {"seconds": seconds},
        )


ROWS = {
    "many-runs": many_runs,
    "many-starts": many_starts,
    "many-scheduled": many_scheduled,
    "flood": flood,
}
