"""Make SQLite safe for several processes, and build statements that suit both databases."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from flask import Flask, current_app, g, has_request_context, request
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    SQLColumnExpression,
    any_,
    bindparam,
    event,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import InstrumentedAttribute

from skymailing.extensions import db

logger = logging.getLogger(__name__)

# The largest key in an Integer and in a BigInteger column. For a larger number, a database raises an error
# instead of returning no row.
LARGEST_ID = 2**31 - 1
LARGEST_BIG_ID = 2**63 - 1
# The write-ahead log of SQLite, which grows with a large transaction, is cut to this size afterwards.
WAL_BYTES = 16_000_000
MAX_SLEEP = 0.1  # seconds between two transactions of a background task
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

StopCheck = Callable[[float], bool]  # whether a slice of a background task should end after this many seconds
V = TypeVar("V", bound=Callable[..., Any])


def configure_database(app: Flask) -> None:
    """Configure the engine; call once after `db.init_app`."""
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        make_sqlite_safe(engine)
    # Runs before Flask-SQLAlchemy's own function, which then has nothing to do.
    app.teardown_appcontext(end_session)


def end_session(_error: BaseException | None) -> None:
    """Close the session; if its connection was lost, the finished response is still sent."""
    try:
        db.session.remove()
    except DBAPIError as error:
        logger.warning("The connection to the database was lost: %s", error.orig)
        db.session.registry.clear()


def make_sqlite_safe(engine: Engine) -> None:
    """Let several processes share the file: readers never wait, writers take turns, no update is lost.

    By default, the driver begins a transaction late, and a process that reads first and writes later loses
    updates. Here a transaction that may write takes the write lock at its start (BEGIN IMMEDIATE), waiting
    for it if needed. Transactions of read requests and of views with `starts_reading` take no lock.
    """
    engine.dialect.statement_compiler = HintCompiler

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # turn off the driver's BEGIN; ours is below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA busy_timeout = 60000")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        # FULL: a committed claim must survive a power failure, or its letter could be sent twice.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()
        # SQLite's lower() only knows ASCII: a search for "анна" would miss "Анна".
        connection.create_function("lower", 1, lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = is_reading_request() or connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


class HintCompiler(SQLiteCompiler):
    """Writes the hints of `Select.with_hint`, which SQLAlchemy otherwise ignores on SQLite.

    A hint is "INDEXED BY name": SQLite then uses that index, or raises an error if it cannot.
    """

    def get_from_hint_text(self, _table: Any, text: str | None) -> str | None:
        return text


def starts_reading(view: V) -> V:
    """Decorate a view that computes before it writes: on SQLite its request starts without the write lock.

    Such a view calls `start_writing` before its first change, or changes nothing.
    """
    view.starts_reading = True  # type: ignore[attr-defined]  # `functools.wraps` copies it to wrappers
    return view


def start_writing() -> None:
    """End the read-only transaction; the next one may write. Objects are read again when they are used."""
    db.session.rollback()
    g.may_write = True


def start_reading() -> None:
    """Begin a transaction that only reads: on SQLite it starts without the write lock."""
    db.session.connection(execution_options={"reading": True})


def is_reading_request() -> bool:
    """Return whether the current request only reads, at least so far."""
    if not has_request_context():
        return False
    if g.get("may_write", False):
        return False
    view = current_app.view_functions.get(request.endpoint or "")
    return request.method in SAFE_METHODS or getattr(view, "starts_reading", False)


def lower(text: str | None) -> str | None:
    return None if text is None else str(text).lower()


def reading_engine() -> Engine:
    """Return an engine for single statements that only read.

    On SQLite it does not wait for a writer. On PostgreSQL it opens no transaction: a rollback would make
    the driver discard its prepared statements.
    """
    if db.engine.dialect.name == "postgresql":
        return db.engine.execution_options(isolation_level="AUTOCOMMIT")
    return db.engine.execution_options(reading=True)


def let_others_write(worked_seconds: float) -> None:
    """Sleep for as long as the last transaction took, so that other writers get a turn on SQLite."""
    time.sleep(min(worked_seconds, MAX_SLEEP))


def is_one_of(column: InstrumentedAttribute[int], name: str) -> ColumnElement[bool]:
    """Return the condition that a numeric column is in the list bound to the parameter `name`."""
    if db.engine.dialect.name == "postgresql":
        # One parameter for a list of any length, so that the statement is not compiled and planned again.
        return column == any_(bindparam(name, type_=postgresql.ARRAY(BigInteger)))
    return column.in_(bindparam(name, expanding=True))


def is_in(
    column: SQLColumnExpression[int] | SQLColumnExpression[int | None], values: Sequence[int]
) -> ColumnElement[bool]:
    """Return the condition that a numeric column has one of the values, which share one parameter."""
    if db.engine.dialect.name == "postgresql":
        return column == any_(literal(list(values), postgresql.ARRAY(BigInteger)))
    listed = func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(select(listed.c.value))


def execute_counting(statement: Any, rows: Sequence[Mapping[str, Any]] | None = None) -> int:
    """Execute an INSERT, UPDATE or DELETE in the session, for each of `rows` if there are any.

    Return how many rows it changed.
    """
    # Executed through the connection, whose result has the count; the option is for PostgreSQL's INSERT.
    options = {"preserve_rowcount": True}
    db.session.flush()
    return db.session.connection().execute(statement, rows, execution_options=options).rowcount


def insert_into(model: Any) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    is_postgresql = db.engine.dialect.name == "postgresql"
    return postgresql.insert(model) if is_postgresql else sqlite.insert(model)
