"""Write many clients at once with INSERT ... ON CONFLICT."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Insert, Table, case, func, literal, select, true
from sqlalchemy.dialects.postgresql import JSONB, TEXT

from skymailing.clients.rows import ClientRow
from skymailing.db.engine import insert_into
from skymailing.db.json_rows import read_rows, write_rows
from skymailing.db.text_search import is_sqlite
from skymailing.extensions import db
from skymailing.models import Client, Origin

CLIENTS = cast(Table, Client.__table__)
# The order is that of ClientRow's first fields.
TEXTS = ("email", "email_key", "full_name", "comment", "timezone")
VALUES = {**dict.fromkeys(TEXTS, TEXT), "attributes": JSONB}
COLUMNS = ("owner_id", *VALUES, "created_at", "updated_at", "origin", "origin_id")


def upsert_clients(owner_id: int, rows: Sequence[ClientRow], now: datetime, origin: Origin) -> int:
    """Add new clients and update existing ones; return how many are new.

    Empty values change nothing, and existing clients keep the spelling of their address and their origin.
    """
    return upsert_document(owner_id, write_document(rows), now, origin)


def write_document(rows: Sequence[ClientRow]) -> str:
    """Return the rows for `upsert_document`, one for each address."""
    merged: dict[str, ClientRow] = {}
    for row in rows:
        earlier = merged.get(row.email_key)
        merged[row.email_key] = earlier.merge(row) if earlier else row
    # All imports write in the same order, so that concurrent imports cannot deadlock.
    return write_rows([merged[key][: len(VALUES)] for key in sorted(merged)], VALUES)


def upsert_document(
    owner_id: int, document: str, now: datetime, origin: Origin, origin_id: int | None = None
) -> int:
    """Add or update the clients in a document; see `upsert_clients`."""
    given = read_rows(document, VALUES)
    timestamp = literal(now, CLIENTS.c.created_at.type)
    source = select(literal(owner_id), *(given.c[name] for name in VALUES), timestamp, timestamp)
    source = source.add_columns(literal(origin.value), literal(origin_id, CLIENTS.c.origin_id.type))
    # SQLite cannot parse ON CONFLICT after a SELECT without WHERE.
    statement = add_conflict(insert_into(CLIENTS).from_select(COLUMNS, source.where(true())))
    return count_new_on_sqlite(statement) if is_sqlite() else count_new_on_postgresql(statement)


def count_new_on_postgresql(statement: Insert) -> int:
    """Execute the statement; return how many clients are new."""
    # Selecting the existing clients first would be slow: PostgreSQL has no statistics for a table that is
    # still being filled, and would scan the whole address book for each batch.
    written = db.session.execute(statement.returning(CLIENTS.c.created_at == CLIENTS.c.updated_at))
    return sum(written.scalars())


def count_new_on_sqlite(statement: Insert) -> int:
    """Execute the statement; return how many clients are new."""
    # SQLite gives new rows IDs above the greatest one, and this transaction is the only one that writes.
    greatest = select(func.coalesce(func.max(CLIENTS.c.id), 0))
    before = db.session.scalar(greatest) or 0
    db.session.execute(statement)
    return (db.session.scalar(greatest) or 0) - before


def add_conflict(statement: Any) -> Insert:
    """Make the INSERT update existing clients."""
    new, existing = statement.excluded, CLIENTS.c
    attributes: ColumnElement[Any]
    if is_sqlite():
        attributes = func.json_patch(existing.attributes, new.attributes)
    else:
        attributes = existing.attributes.op("||")(new.attributes)
    changed: Insert = statement.on_conflict_do_update(
        index_elements=["owner_id", "email_key"],
        set_={
            "full_name": case((new.full_name != "", new.full_name), else_=existing.full_name),
            "comment": case((new.comment != "", new.comment), else_=existing.comment),
            "timezone": case((new.timezone != "", new.timezone), else_=existing.timezone),
            "attributes": attributes,
            "updated_at": new.updated_at,
        },
    )
    return changed
