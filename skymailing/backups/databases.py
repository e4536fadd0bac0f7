"""A database into a file and back, by each database's own tools, while the service goes on working."""

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, inspect

from skymailing.errors import SkyMailingError
from skymailing.extensions import db


class BackupError(SkyMailingError):
    """A backup cannot be made or brought back; the message says why and what to do."""


def kind() -> str:
    """Return which kind of database this installation has: what is made of one fits only the same."""
    return db.engine.dialect.name


def dump(path: Path) -> None:
    """Write the database as it is at one moment; raises BackupError."""
    url = db.engine.url
    if kind() == "sqlite":
        with closing(sqlite3.connect(str(url.database))) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)  # all pages in one step: one moment, whoever writes meanwhile
        return
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={path}"]
    _run("pg_dump", [*options, f"--dbname={_without_password(url)}"], url)


def load(path: Path) -> None:
    """Fill the empty database from a file of `dump`; raises BackupError, having changed nothing."""
    url = db.engine.url
    if kind() == "sqlite":
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(str(url.database))) as target:
            source.backup(target)
        return
    options = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    _run("pg_restore", [*options, f"--dbname={_without_password(url)}", str(path)], url)


def is_empty() -> bool:
    """Whether the database has no table at all."""
    return not inspect(db.engine).get_table_names()


def _without_password(url: URL) -> str:
    """Return a libpq address fit to be seen in a list of processes."""
    return url.set(drivername="postgresql", password=None).render_as_string()


def _run(program: str, arguments: list[str], url: URL) -> None:
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    try:
        done = subprocess.run(  # noqa: S603 - a program of PostgreSQL's and our own arguments
            [program, *arguments], env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise BackupError(f"{program} is not here: install PostgreSQL's client programs.") from error
    if done.returncode:
        advice = ""
        if "version" in done.stderr:
            advice = " Its version has to be the server's or a newer one: install that postgresql-client."
        raise BackupError(f"{program} failed: {done.stderr.strip()}{advice}")
