"""Write many clients at once with INSERT ... ON CONFLICT.

The parameters are prepared here: SQLAlchemy takes longer to prepare those of a row than a database takes to
write it.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Insert, Table, case, column, func, literal, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import JSON, JSONB, TEXT

from skymailing.clients.rows import ClientRow
from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import Client

CLIENTS = cast(Table, Client.__table__)
VALUES = ("email", "email_key", "full_name", "comment", "attributes")
COLUMNS = ("owner_id", *VALUES, "created_at", "updated_at")


def upsert_clients(owner_id: int, rows: Sequence[ClientRow], now: datetime) -> int:
    """Add new clients and update existing ones; return how many are new.

    Empty values change nothing, and the address of an existing client keeps its spelling.
    """
    merged: dict[str, ClientRow] = {}
    for row in rows:
        earlier = merged.get(row.email_key)
        merged[row.email_key] = earlier.merge(row) if earlier else row
    if not merged:
        return 0
    # All imports write in the same order, so that concurrent imports cannot deadlock.
    ordered = [merged[key] for key in sorted(merged)]
    write = write_document if db.engine.dialect.name == "postgresql" else write_rows
    return write(owner_id, ordered, now)


def write_document(owner_id: int, rows: Sequence[ClientRow], now: datetime) -> int:
    """Write the rows on PostgreSQL as one JSON parameter; return how many are new.

    An array for each column takes twice as long, as psycopg escapes each of its elements in Python.
    """
    document = json.dumps([{name: getattr(row, name) for name in VALUES} for row in rows], ensure_ascii=False)
    types = [column(name, JSONB if name == "attributes" else TEXT) for name in VALUES]
    given = func.json_to_recordset(sql_cast(literal(document), JSON)).table_valued(*types, name="given")
    given = given.render_derived(with_types=True)
    moment = literal(now, CLIENTS.c.created_at.type)
    source = select(literal(owner_id), *(given.c[name] for name in VALUES), moment, moment)
    statement = add_conflict(insert_into(CLIENTS).from_select(COLUMNS, source))
    # Selecting the existing clients first would be slow: PostgreSQL has no statistics for a table that is
    # still being filled, and would scan the whole address book for each batch.
    written = db.session.execute(statement.returning(CLIENTS.c.created_at == CLIENTS.c.updated_at))
    return sum(written.scalars())


def write_rows(owner_id: int, rows: Sequence[ClientRow], now: datetime) -> int:
    """Write the rows on SQLite with a prepared statement; return how many are new."""
    dialect = db.engine.dialect
    compiled = add_conflict(insert_into(CLIENTS)).compile(dialect=dialect, column_keys=list(COLUMNS))
    to_text = CLIENTS.c.created_at.type.dialect_impl(dialect).bind_processor(dialect)
    moment = to_text(now) if to_text else now
    serialize = dialect._json_serializer or json.dumps  # type: ignore[attr-defined]
    names: list[str] = compiled.positiontup or []
    constants = [compiled.params[name] for name in names[len(COLUMNS) :]]
    # SQLite numbers new rows from the greatest ID upwards, and this transaction is the only one that writes.
    greatest = select(func.coalesce(func.max(CLIENTS.c.id), 0))
    before = db.session.scalar(greatest) or 0
    db.session.connection().exec_driver_sql(
        str(compiled),
        [(owner_id, *row[:4], serialize(row.attributes), moment, moment, *constants) for row in rows],
    )
    return (db.session.scalar(greatest) or 0) - before


def add_conflict(statement: Any) -> Insert:
    """Return the INSERT with an update of existing clients."""
    new, existing = statement.excluded, CLIENTS.c
    attributes: ColumnElement[Any]
    if db.engine.dialect.name == "postgresql":
        attributes = existing.attributes.op("||")(new.attributes)
    else:
        attributes = func.json_patch(existing.attributes, new.attributes)
    changed: Insert = statement.on_conflict_do_update(
        index_elements=["owner_id", "email_key"],
        set_={
            "full_name": case((new.full_name != "", new.full_name), else_=existing.full_name),
            "comment": case((new.comment != "", new.comment), else_=existing.comment),
            "attributes": attributes,
            "updated_at": new.updated_at,
        },
    )
    return changed
