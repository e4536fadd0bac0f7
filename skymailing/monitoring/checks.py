"""Is each part that the service needs there? Asked by `/readyz`, `flask doctor` and `flask up`."""

import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
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


LOG_ADVICE = f"{START_ADVICE}. Why it ends: journalctl -u 'skymailing*', or DATA_DIR/logs."


@dataclass(frozen=True)
class Check:
    """What was found about one part, and what a person can do about it."""

    name: str
    is_ok: bool
    finding: str
    advice: str = ""
    # False for what could not be asked, which is no fault.
    is_known: bool = True


def check_database() -> Check:
    """Whether the database answers and its tables are those of this version."""
    name = "database"
    try:
        current = current_revision()
    except SQLAlchemyError as error:
        return Check(name, False, first_line(error), "Check DATABASE_URL and that the server runs.")
    known, head = known_revisions(Path(current_app.root_path).parent / "migrations")
    if current is not None and current not in known:
        # Migrations keep the version that is running working, so this one may go on until it is restarted.
        finding = f"{db.engine.dialect.name}, revision {current}, of a newer version than this one ({head})"
        return Check(name, True, finding)
    if current != head:
        finding = f"its tables are at revision {current or 'none'}, this version needs {head}"
        return Check(name, False, finding, "Run: flask --app wsgi db upgrade")
    return Check(name, True, f"{db.engine.dialect.name}, revision {current}")


def current_revision() -> str | None:
    """Return which migration the database's tables are of; None without tables."""
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check_redis() -> Check:
    """Whether Redis answers."""
    try:
        queue.connection().ping()
    except RedisError as error:
        advice = START_ADVICE if current_app.config["EMBEDDED_REDIS"] else "Check REDIS_URL."
        return Check("redis", False, first_line(error), advice)
    return Check("redis", True, "answers")


def check_scheduler() -> Check:
    """Whether a scheduler shows a heartbeat."""
    try:
        alive = schedule.is_alive()
    except RedisError:
        return _without_redis("scheduler")
    return Check("scheduler", alive, "alive" if alive else "no sign of life", "" if alive else LOG_ADVICE)


def check_workers() -> Check:
    """Whether a worker shows a heartbeat."""
    try:
        hosts = queue.workers_by_host()
    except RedisError:
        return _without_redis("workers")
    if not hosts:
        return Check("workers", False, "no sign of life", LOG_ADVICE)
    told = ", ".join(f"{count} on {host}" for host, count in sorted(hosts.items()))
    return Check("workers", True, f"{hosts.total()} alive: {told}")


def check_mail_route() -> Check:
    """Whether letters leave, as far as the ledger knows; talks to no mail server."""
    try:
        with db.engine.connect() as connection:
            open_routes = connection.execute(
                select(Route.name, Route.last_fault).where(Route.state != BreakerState.CLOSED)
            ).all()
    except SQLAlchemyError as error:
        return Check("mail", False, first_line(error), "Mend the database first.")
    if open_routes:
        finding = "; ".join(f"the breaker of route {name} is open: {fault}" for name, fault in open_routes)
        return Check("mail", False, finding, "Check the mail server and MAIL_*; sending resumes by itself.")
    return Check("mail", True, "no faults")


def check_data_directory() -> Check:
    """Whether files can be written where the service keeps them."""
    directory: Path = current_app.config["DATA_DIR"]
    try:
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            file.write(b"\0" * 65_536)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        advice = "Let DATA_DIR be a directory that this user may write to, on a disk with room."
        return Check("files", False, f"{directory}: {error.strerror}", advice)
    return Check("files", True, f"{directory} is writable")


@cache
def known_revisions(directory: Path) -> tuple[frozenset[str], str | None]:
    """Return all revisions among the migrations, and the newest."""
    scripts = ScriptDirectory(str(directory))
    return frozenset(script.revision for script in scripts.walk_revisions()), scripts.get_current_head()


def _without_redis(name: str) -> Check:
    return Check(name, False, "cannot be asked while Redis is away", "Mend Redis first.")


def first_line(error: Exception) -> str:
    """Return what a library says of an error, without the statement and the link that follow."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
