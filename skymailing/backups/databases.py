"""Dump a running database to a file, and load such a file, with the database's own tools."""

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, inspect

from skymailing.errors import SkyMailingError
from skymailing.extensions import db


class BackupError(SkyMailingError):
    """A backup cannot be made or restored; the message states the reason and the remedy."""


def get_database_kind() -> str:
    """Return the kind of database; a backup can be restored only to the same kind."""
    return db.engine.dialect.name


def dump(path: Path) -> None:
    """Write a consistent snapshot of the database; raises BackupError."""
    url = db.engine.url
    if get_database_kind() == "sqlite":
        with closing(sqlite3.connect(str(url.database))) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)  # all pages in one step, so that the copy is consistent
        return
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={path}"]
    _run("pg_dump", [*options, f"--dbname={_strip_password(url)}"], url)


def load(path: Path) -> None:
    """Load a file written by `dump` into the empty database; raises BackupError, having changed nothing."""
    url = db.engine.url
    if get_database_kind() == "sqlite":
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(str(url.database))) as target:
            source.backup(target)
        return
    options = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    _run("pg_restore", [*options, f"--dbname={_strip_password(url)}", str(path)], url)


def is_empty() -> bool:
    """Return whether the database has no tables."""
    return not inspect(db.engine).get_table_names()


def _strip_password(url: URL) -> str:
    """Return a libpq URL without the password, which the process list would show."""
    return url.set(drivername="postgresql", password=None).render_as_string()


def _run(program: str, arguments: list[str], url: URL) -> None:
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    try:
        result = subprocess.run(  # noqa: S603 - PostgreSQL's program and our own arguments
            [program, *arguments], env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise BackupError(f"{program} is missing: install the PostgreSQL client programs.") from error
    if result.returncode:
        advice = ""
        if "version" in result.stderr:
            advice = " It must not be older than the server: install a newer postgresql-client package."
        raise BackupError(f"{program} failed: {result.stderr.strip()}{advice}")
