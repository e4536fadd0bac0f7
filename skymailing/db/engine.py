"""How connections behave: SQLite made safe for several processes, engines after a fork."""

import time
from typing import Any

from flask import Flask, has_request_context, request
from sqlalchemy import BigInteger, ColumnElement, Connection, Engine, any_, bindparam, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute

from skymailing.extensions import db

# What a key can hold at most, in a column of Integer and of BigInteger; a database that is asked for
# more does not say that there is no such row, but fails.
LARGEST_ID = 2**31 - 1
LARGEST_BIG_ID = 2**63 - 1
LONGEST_SLEEP = 0.1  # seconds between two transactions of a background task
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def configure_database(app: Flask) -> None:
    """Bind the engine's behaviour; call once after `db.init_app`."""
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        make_sqlite_safe(engine)


def make_sqlite_safe(engine: Engine) -> None:
    """Let several processes share the file: readers never wait, writers queue and lose nothing.

    SQLite's defaults lose updates when processes read first and write later, because the
    driver begins transactions late. Here a transaction that may write takes the writer's place at
    its start (BEGIN IMMEDIATE) and waits for it; one that serves a reading request does not.
    """

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN is switched off; ours is below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA busy_timeout = 60000")
        cursor.execute("PRAGMA foreign_keys = ON")
        # FULL: a committed claim must survive a power cut, or its letter could be sent twice.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()
        # SQLite's own knows only Latin letters, so that a search for "анна" would miss "Анна".
        connection.create_function("lower", 1, lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        asked_to_read = has_request_context() and request.method in SAFE_METHODS
        reading = asked_to_read or connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def lower(text: str | None) -> str | None:
    return None if text is None else str(text).lower()


def reading_engine() -> Engine:
    """Return the engine for reading, one statement at a time.

    On SQLite it need not wait for a writer. On PostgreSQL there is no transaction to roll back,
    which would make the driver forget its prepared statements.
    """
    if db.engine.dialect.name == "postgresql":
        return db.engine.execution_options(isolation_level="AUTOCOMMIT")
    return db.engine.execution_options(reading=True)


def let_others_write(worked_seconds: float) -> None:
    """Sleep for as long as the last transaction took, so that other writers get a turn on SQLite."""
    time.sleep(min(worked_seconds, LONGEST_SLEEP))


def is_one_of(column: InstrumentedAttribute[int], name: str) -> ColumnElement[bool]:
    """Return the condition that a numeric column is in the list that the parameter `name` is given."""
    if db.engine.dialect.name == "postgresql":
        # One parameter however long the list: nothing is compiled or planned again.
        return column == any_(bindparam(name, type_=postgresql.ARRAY(BigInteger)))
    return column.in_(bindparam(name, expanding=True))


def insert_into(model: Any) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    is_postgresql = db.engine.dialect.name == "postgresql"
    return postgresql.insert(model) if is_postgresql else sqlite.insert(model)
