"""Benchmark the CPU time of the web server and the database for each page of a signed-in user."""

import http.client
import os
import statistics
from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bench.pages import sign_in, web_server
from bench.process_usage import list_tree, read_cpu_seconds
from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing.clock import utcnow
from skymailing.demo import build
from skymailing.extensions import db
from skymailing.models import Client, Mailing, MailingState, Message, User

PATHS = (
    "/",
    "/clients/",
    "/clients/{client}",
    "/clients/{client}/edit",
    "/segments/",
    "/forms/",
    "/messages/",
    "/messages/{message}/edit",
    "/mailings/",
    "/mailings/{mailing}",
    "/mailings/new",
    "/sequences/",
    "/logs/",
    "/reports/",
    "/senders/",
    "/auth/profile",
    "/help/",
)
WARM_UP, TIMES = 6, 40  # requests for each page
GOAL_MS = 8.0


def signed_in(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Load each page of the demo's user repeatedly over one connection."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service, web_server(service) as port:
            service.pause_workers()
            paths, cookie = prepare(service)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            times = {path: measure(connection, path, cookie) for path in paths}
            connection.close()
        slowest = max(times, key=times.__getitem__)
        yield Row(
            f"CPU time of a signed-in user's page, mean of {len(times)} pages, {database}",
            f"{statistics.mean(times.values()):.1f} ms, at most {times[slowest]:.1f} ms ({slowest})",
            "",
            f"{GOAL_MS:.0f} ms",
            None,
            {"milliseconds": times},
        )


def prepare(service: Service) -> tuple[list[str], str]:
    """Add the demo data of `flask demo`; return its user's pages and a session cookie."""
    with service.app.app_context():
        logins = build.list_logins(service.app.config["SECRET_KEY"])
        build.fill(logins, build.hash_passwords(logins), utcnow())
        db.session.commit()
    with Session(service.engine) as session:
        owner = session.scalars(select(User.id).where(User.email == build.OWNER)).one()
        finished = select(func.min(Mailing.id)).where(Mailing.state == MailingState.FINISHED)
        ids = {
            "client": session.scalar(select(func.min(Client.id)).where(Client.owner_id == owner)),
            "message": session.scalar(select(func.min(Message.id)).where(Message.owner_id == owner)),
            "mailing": session.scalar(finished.where(Mailing.owner_id == owner)),
        }
    return [path.format(**ids) for path in PATHS], sign_in(service, owner)


def measure(connection: http.client.HTTPConnection, path: str, cookie: str) -> float:
    """Return the CPU time per request, in milliseconds, of all processes that this process has started."""
    for _ in range(WARM_UP):
        request(connection, path, cookie)
    started = list_tree(os.getpid())[1:]
    before = read_cpu_seconds(started)
    for _ in range(TIMES):
        request(connection, path, cookie)
    return (read_cpu_seconds(started) - before) / TIMES * 1_000


def request(connection: http.client.HTTPConnection, path: str, cookie: str) -> None:
    headers = {"Cookie": cookie, "Accept-Encoding": "gzip", "Accept-Language": "ru"}
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise MeasurementFailed(f"{path}: {response.status}")


ROWS = {"signed-in": signed_in}
