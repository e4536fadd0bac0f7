"""Writing many clients at once: INSERT ... ON CONFLICT, which both databases have under two names."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, case, func

from skymailing.clients.rows import ClientRow
from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import Client

CLIENTS = cast(Table, Client.__table__)


def is_postgresql() -> bool:
    return db.engine.dialect.name == "postgresql"


def upsert_clients(owner_id: int, rows: Sequence[ClientRow], now: datetime) -> int:
    """Add the rows to the address book or to the clients already there; return how many are new.

    What a row leaves empty stays as it was; the spelling of a known address stays, too.
    """
    merged: dict[str, ClientRow] = {}
    for row in rows:
        earlier = merged.get(row.email_key)
        merged[row.email_key] = earlier.merge(row) if earlier else row
    if not merged:
        return 0
    written = db.session.execute(
        make_upsert(),
        # In one order for all, so that two imports at once never wait for each other in a ring.
        [describe(merged[key], owner_id, now) for key in sorted(merged)],
    )
    return sum(written.scalars())


def make_upsert() -> Any:
    """Return the statement; for each row it tells whether the client is new."""
    statement = insert_into(CLIENTS)
    given, known = statement.excluded, CLIENTS.c
    return statement.on_conflict_do_update(
        index_elements=["owner_id", "email_key"],
        set_={
            "full_name": case((given.full_name != "", given.full_name), else_=known.full_name),
            "comment": case((given.comment != "", given.comment), else_=known.comment),
            "attributes": known.attributes.op("||")(given.attributes)
            if is_postgresql()
            else func.json_patch(known.attributes, given.attributes),
            "updated_at": given.updated_at,
        },
        # Asking beforehand which ones are known would cost PostgreSQL, without statistics of a table
        # that is just being filled, a walk through the whole address book for every batch.
    ).returning(known.created_at == known.updated_at)


def describe(row: ClientRow, owner_id: int, now: datetime) -> dict[str, Any]:
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
