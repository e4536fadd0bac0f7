"""Check each component that the service needs, for `/readyz`, `flask doctor` and `flask up`."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from flask import current_app
from redis import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from skymailing import queue, schedule
from skymailing.extensions import db
from skymailing.models import BreakerState, Route

START_ADVICE = (
    "Start the service: systemctl start skymailing.target, docker compose up -d, or flask --app wsgi up"
)
LOG_ADVICE = f"{START_ADVICE}. To see why it stopped: journalctl -u 'skymailing*', or DATA_DIR/logs."


@dataclass(frozen=True)
class Check:
    """The finding about one component, and advice if there is a problem."""

    name: str
    is_ok: bool
    finding: str
    advice: str = ""
    # False if the component could not be checked, which is not a problem.
    is_known: bool = True


def check_database() -> Check:
    """Check that the database responds and has the tables of this version."""
    from skymailing.db import migrations

    name = "database"
    try:
        current = migrations.read_revision()
    except SQLAlchemyError as error:
        return Check(name, False, shorten_error(error), "Check DATABASE_URL, and that the server is running.")
    known, head = migrations.list_revisions()
    if current is not None and current not in known:
        # Migrations keep the previous version working, so this one can run until it is restarted.
        finding = f"{db.engine.dialect.name}, revision {current}, from a newer version than this one ({head})"
        return Check(name, True, finding)
    if current != head:
        finding = f"its tables are at revision {current or 'none'}, but this version needs {head}"
        return Check(name, False, finding, "Run: flask --app wsgi db upgrade")
    return Check(name, True, f"{db.engine.dialect.name}, revision {current}")


def check_redis() -> Check:
    """Check that Redis responds."""
    try:
        queue.connection().ping()
    except RedisError as error:
        advice = START_ADVICE if current_app.config["EMBEDDED_REDIS"] else "Check REDIS_URL."
        return Check("redis", False, shorten_error(error), advice)
    return Check("redis", True, "responds")


def check_scheduler() -> Check:
    """Check that a scheduler is running."""
    try:
        alive = schedule.is_alive()
    except RedisError:
        return _report_unknown("scheduler")
    return Check("scheduler", alive, "running" if alive else "not running", "" if alive else LOG_ADVICE)


def check_workers() -> Check:
    """Check that a worker is connected."""
    try:
        hosts = queue.count_workers_by_host()
    except RedisError:
        return _report_unknown("workers")
    if not hosts:
        return Check("workers", False, "not running", LOG_ADVICE)
    summary = ", ".join(f"{count} on {host}" for host, count in sorted(hosts.items()))
    return Check("workers", True, f"{hosts.total()} running: {summary}")


def check_mail_route() -> Check:
    """Check that no breaker is open, according to the database; connect to no mail server."""
    try:
        with db.engine.connect() as connection:
            open_routes = connection.execute(
                select(Route.name, Route.last_fault).where(Route.state != BreakerState.CLOSED)
            ).all()
    except SQLAlchemyError as error:
        return Check("mail", False, shorten_error(error), "Fix the database first.")
    if open_routes:
        finding = "; ".join(f"the breaker of route {name} is open: {fault}" for name, fault in open_routes)
        advice = (
            "Check the mail server and MAIL_*. Sending resumes automatically or with `flask routes reopen`."
        )
        return Check("mail", False, finding, advice)
    return Check("mail", True, "no faults")


def check_data_directory() -> Check:
    """Check that files can be written to DATA_DIR."""
    directory: Path = current_app.config["DATA_DIR"]
    try:
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            file.write(b"\0" * 65_536)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        advice = "Set DATA_DIR to a directory that this user can write to, on a disk with free space."
        return Check("files", False, f"{directory}: {error.strerror}", advice)
    return Check("files", True, f"{directory} is writable")


def _report_unknown(name: str) -> Check:
    return Check(name, False, "unknown while Redis is not responding", "Fix Redis first.")


def shorten_error(error: Exception) -> str:
    """Return a library's error message, without the SQL statement and link appended to it."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
