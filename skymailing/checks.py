"""Is each part that the service needs there? Asked by `/readyz`, `flask doctor` and `flask up`."""

import os
import tempfile
from collections.abc import Callable
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

START_ADVICE = "Start the service: flask --app wsgi up"


@dataclass(frozen=True)
class Check:
    """What was found about one part, and what a person can do about it."""

    name: str
    is_ok: bool
    finding: str
    advice: str = ""


def check_database() -> Check:
    """Whether the database answers and its tables are those of this version."""
    name = "database"
    try:
        current = current_revision()
    except SQLAlchemyError as error:
        return Check(name, False, _first_line(error), "Check DATABASE_URL and that the server runs.")
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
        return Check("redis", False, _first_line(error), advice)
    return Check("redis", True, "answers")


def check_scheduler() -> Check:
    """Whether a scheduler shows a heartbeat."""
    return _check_process("scheduler", schedule.is_alive)


def check_workers() -> Check:
    """Whether a worker shows a heartbeat."""
    return _check_process("workers", lambda: queue.count_workers() > 0)


def check_mail_route() -> Check:
    """Whether letters leave, as far as the ledger knows; talks to no mail server."""
    try:
        with db.engine.connect() as connection:
            open_routes = connection.execute(
                select(Route.name, Route.last_fault).where(Route.state != BreakerState.CLOSED)
            ).all()
    except SQLAlchemyError as error:
        return Check("mail", False, _first_line(error), "Mend the database first.")
    if open_routes:
        finding = "; ".join(f"route {name} is closed for now: {fault}" for name, fault in open_routes)
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


def _check_process(name: str, is_alive: Callable[[], bool]) -> Check:
    try:
        alive = is_alive()
    except RedisError:
        return Check(name, False, "cannot be asked while Redis is away", "Mend Redis first.")
    if not alive:
        return Check(name, False, "no sign of life", f"{START_ADVICE}; or see DATA_DIR/logs.")
    return Check(name, True, "alive")


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
