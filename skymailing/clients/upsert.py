"""Write many clients at once with INSERT ... ON CONFLICT."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, case, func

from skymailing.clients.rows import ClientRow
from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import Client

CLIENTS = cast(Table, Client.__table__)


def upsert_clients(owner_id: int, rows: Sequence[ClientRow], now: datetime) -> int:
    """Add new clients and update known ones; return how many are new.

    Empty values change nothing, and the address of a known client keeps its spelling.
    """
    merged: dict[str, ClientRow] = {}
    for row in rows:
        earlier = merged.get(row.email_key)
        merged[row.email_key] = earlier.merge(row) if earlier else row
    if not merged:
        return 0
    written = db.session.execute(
        make_upsert(),
        # All imports write in the same order, so that concurrent imports cannot deadlock.
        [column_values(merged[key], owner_id, now) for key in sorted(merged)],
    )
    return sum(written.scalars())


def make_upsert() -> Any:
    """Return a statement that returns, for each row, whether the client is new."""
    statement = insert_into(CLIENTS)
    new, known = statement.excluded, CLIENTS.c
    attributes: ColumnElement[Any]
    if db.engine.dialect.name == "postgresql":
        attributes = known.attributes.op("||")(new.attributes)
    else:
        attributes = func.json_patch(known.attributes, new.attributes)
    return statement.on_conflict_do_update(
        index_elements=["owner_id", "email_key"],
        set_={
            "full_name": case((new.full_name != "", new.full_name), else_=known.full_name),
            "comment": case((new.comment != "", new.comment), else_=known.comment),
            "attributes": attributes,
            "updated_at": new.updated_at,
        },
        # Selecting the known clients first would be slow: PostgreSQL has no statistics for a
        # table that is still being filled, and would scan the whole address book for each batch.
    ).returning(known.created_at == known.updated_at)


def column_values(row: ClientRow, owner_id: int, now: datetime) -> dict[str, Any]:
    return {
        "owner_id": owner_id,
        "email": row.email,
        "email_key": row.email_key,
        "full_name": row.full_name,
        "comment": row.comment,
        "attributes": row.attributes,
        "created_at": now,
        "updated_at": now,
    }
