"""Run migrations on the app's engine, in one transaction on both databases."""

import logging
from logging.config import fileConfig
from typing import Any

from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app
from sqlalchemy import Connection

from skymailing.extensions import db
from skymailing.models.types import UTCDateTime

if context.config.config_file_name:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)
logger = logging.getLogger("alembic.env")


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | bool:
    """Render our own types as the database's types, since migrations import no models."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


# Tables without a model that processes of the previous version may still use during an upgrade. The next
# release drops them with a migration and removes them from this list.
TO_BE_DROPPED = {"ended_sessions"}


# Tables that have no model, as the two databases define them differently. On SQLite, FTS5 adds tables that it
# uses itself, whose names have this prefix.
SEARCH_INDEX = "client_search"


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Exclude tables without a model from the comparison with the models."""
    return not (kind == "table" and name and (name in TO_BE_DROPPED or name.startswith(SEARCH_INDEX)))


def skip_empty_revision(_context: Any, _revision: Any, directives: list[Any]) -> None:
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []
        logger.info("No changes in schema detected.")


def run(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # Rebuilding a table drops the old one, which must not cascade. This works only outside transactions.
        connection.connection.dbapi_connection.execute("PRAGMA foreign_keys = OFF")
    options = current_app.extensions["migrate"].configure_args
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        render_item=render_item,
        include_name=include_name,
        process_revision_directives=skip_empty_revision,
        transactional_ddl=True,
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("Migrations need a database; --sql is not supported.")
with db.engine.connect() as connection:
    run(connection)
    connection.invalidate()  # the next one from the pool has foreign keys on
