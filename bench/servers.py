"""Benchmark owners' mail servers: a route for each owner compared with one route for all."""

import statistics
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from bench.many import add_mailings
from bench.process_usage import read_peak_memory
from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, Testbed
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.models import Attempt, Mailing, Outcome, Route, Security, Sender, SmtpServer

OWNERS = 1_000
TIMEOUT_SECONDS = 900


def many_servers(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure letters per second and memory when each of a thousand owners has a mail server."""
    letters = max(1, sizes.letters // OWNERS)
    rates: dict[bool, list[float]] = {False: [], True: []}
    memories: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(sizes.rounds):
        for has_own in rates:
            with testbed.service(POSTGRESQL) as service:
                rates[has_own].append(_send_all(service, testbed.sink.port, letters, has_own))
                memories[has_own].append(read_peak_memory(service.worker_pids) or 0.0)
    speed = statistics.median(own / one for own, one in zip(rates[True], rates[False], strict=True))
    memory = max(memories[True]) / max(memories[False]) if max(memories[False]) else None
    yield Row(
        f"{OWNERS:,} owners with a server each compared with one server, letters per second",
        f"{speed:.2f} x ({statistics.median(rates[True]):,.0f}/s)",
        ">= 0.9 x",
        "1 x",
        speed >= 0.9,
        {"own": rates[True], "one": rates[False]},
    )
    yield Row(
        f"{OWNERS:,} owners with a server each compared with one server, worker memory",
        f"{memory:.2f} x ({max(memories[True]):.0f} MB)" if memory else "not available",
        "<= 1.3 x",
        "1.1 x",
        None if memory is None else memory <= 1.3,
        {"own": memories[True], "one": memories[False]},
    )


def _send_all(service: Service, port: int, letters: int, has_own: bool) -> float:
    """Send one mailing per owner; return letters per second from the first to the last attempt."""
    service.pause_workers()
    owners = [service.add_owner(letters) for _ in range(OWNERS)]
    start = utcnow() - timedelta(seconds=1)
    mailings = add_mailings(service, owners, OWNERS, start)
    _add_senders(service, owners, port if has_own else None)
    with service.app.app_context():
        if not all(plan.start_due_run(mailing, utcnow()) for mailing in mailings):
            raise MeasurementFailed("a mailing was not planned")
    service.resume_workers()
    with Session(service.engine) as session:

        def are_all_sent() -> bool:
            return (session.scalar(select(func.count()).select_from(Attempt)) or 0) >= OWNERS * letters

        service.wait_until(are_all_sent, "all letters", TIMEOUT_SECONDS)
        first, last = session.execute(select(func.min(Attempt.at), func.max(Attempt.at))).one()
        sent = session.scalar(select(func.count()).where(Attempt.outcome == Outcome.SENT))
        used = session.scalar(select(func.count(Attempt.route.distinct())))
        shut_off = session.scalar(select(func.count()).where(Route.opened_at.is_not(None)))
    if sent != OWNERS * letters or used != (OWNERS if has_own else 1) or shut_off:
        raise MeasurementFailed(f"{sent} letters through {used} routes, {shut_off} of them shut off")
    return OWNERS * letters / max(0.1, float((last - first).total_seconds()))


def _add_senders(service: Service, owners: list[int], port: int | None) -> None:
    """Give each owner's mailing a sender; with `port`, also give each sender its own server there.

    The servers belong to no owner, because the sink offers neither encryption nor passwords.
    """
    access = {"host": "127.0.0.1", "port": port, "security": Security.NONE, "sessions": 20}
    with Session(service.engine) as session:
        servers: list[int | None] = [None] * len(owners)
        if port is not None:
            rows = [{"name": str(owner), "has_passed": True} | access for owner in owners]
            servers = list(session.scalars(insert(SmtpServer).returning(SmtpServer.id), rows))
        session.execute(
            insert(Sender),
            [
                {"owner_id": owner, "server_id": server, "confirmed_at": utcnow()}
                | {"address": f"{owner}@shop.example", "address_key": f"{owner}@shop.example"}
                for owner, server in zip(owners, servers, strict=True)
            ],
        )
        sender_id = select(Sender.id).where(Sender.owner_id == Mailing.owner_id).scalar_subquery()
        session.execute(update(Mailing).values(sender_id=sender_id))


ROWS = {"many-servers": many_servers}
