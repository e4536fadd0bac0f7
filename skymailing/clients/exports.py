"""Export the address book as a table that can be imported again without loss."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, select, true

from skymailing.clients.cells import read_tags, write_tags
from skymailing.clients.fields import Field
from skymailing.clients.search.attribute_names import list_names
from skymailing.clients.tags import find_tags
from skymailing.extensions import db
from skymailing.models import Client, Suppression

FIELDS = ("email", "full_name", "comment", "tags", "timezone")
ROWS_PER_QUERY = 1000


def export_rows(owner_id: int, condition: ColumnElement[bool] | None = None) -> Iterator[list[Any]]:
    """Yield the header, then a row for each client who meets the condition, oldest first.

    Memory use is constant.
    """
    chosen = true() if condition is None else condition
    # Imports in earlier versions stored tags as an attribute.
    keys = [key for key in list_names(owner_id) if key != Field.TAGS]
    yield [*FIELDS, *keys]
    last_id = 0
    while True:
        # Query page by page, without a cursor, so that a slow download keeps no snapshot open.
        rows = db.session.execute(
            select(
                *(Client.id, Client.email, Client.full_name, Client.comment),
                *(Client.timezone, Client.attributes),
            )
            .where(Client.owner_id == owner_id, Client.id > last_id, chosen)
            .order_by(Client.id)
            .limit(ROWS_PER_QUERY)
        ).all()
        tags = find_tags([row.id for row in rows])
        db.session.rollback()
        for row in rows:
            names = dict.fromkeys([*tags.get(row.id, ()), *read_tags(row.attributes.get(Field.TAGS, ""))])
            attributes = (row.attributes.get(key, "") for key in keys)
            standard = (row.email, row.full_name, row.comment, write_tags(list(names)), row.timezone)
            yield [*standard, *attributes]
        if len(rows) < ROWS_PER_QUERY:
            return
        last_id = rows[-1].id


def export_suppressions(owner_id: int) -> Iterator[list[Any]]:
    """Yield the header, then a row for each suppressed address; memory use is constant."""
    yield ["email", "reason", "note", "since"]
    last_key = ""
    while True:
        rows = db.session.execute(
            select(Suppression.email_key, Suppression.reason, Suppression.note, Suppression.created_at)
            .where(Suppression.owner_id == owner_id, Suppression.email_key > last_key)
            .order_by(Suppression.email_key)
            .limit(ROWS_PER_QUERY)
        ).all()
        db.session.rollback()
        for row in rows:
            yield [row.email_key, row.reason.value, row.note, row.created_at.isoformat(timespec="seconds")]
        if len(rows) < ROWS_PER_QUERY:
            return
        last_key = rows[-1].email_key
