"""Add the tags of imported rows to their clients, with one statement for many rows."""

from collections.abc import Sequence

from sqlalchemy import Integer, String, select

from skymailing.clients.files.csv_reader import Record
from skymailing.clients.rows import ClientRow, Row, RowFault, reject
from skymailing.clients.tags import MAX_TAGS, find_or_create_tags, list_keys, tag_key
from skymailing.db.engine import insert_into
from skymailing.db.json_rows import list_rows
from skymailing.extensions import db
from skymailing.models import Client, client_tags


def reject_excess(owner_id: int, records: Sequence[Record], rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows of the records, rejecting those that would add more tags than an owner can have.

    Without any tags, return the same rows.
    """
    if not any(isinstance(row, ClientRow) and row.tags for row in rows):
        return rows
    known = list_keys(owner_id)
    result: list[Row] = []
    for record, row in zip(records, rows, strict=True):
        new = {tag_key(name) for name in row.tags} - known if isinstance(row, ClientRow) else set()
        if new and len(known) + len(new) > MAX_TAGS:
            result.append(reject(record, RowFault.TAG_LIMIT))
        else:
            known |= new
            result.append(row)
    return result


def tag_clients(owner_id: int, rows: Sequence[ClientRow]) -> None:
    """Add the rows' tags to the clients, who must exist; their other tags are kept."""
    names = {tag_key(name): name for row in reversed(rows) for name in reversed(row.tags)}
    if not names:
        return
    ids = find_or_create_tags(owner_id, names.values(), limit=None)
    # Sorted as in `upsert_clients`, so that concurrent imports cannot deadlock.
    pairs = sorted({(row.email_key, ids[tag_key(name)]) for row in rows for name in row.tags})
    given = list_rows(pairs, email_key=String, tag_id=Integer)
    # A subquery, not a join: PostgreSQL has no statistics for a table that is still being filled, and would
    # scan the whole address book for each batch.
    client_id = (
        select(Client.id)
        .where(Client.owner_id == owner_id, Client.email_key == given.c.email_key)
        .correlate(given)
        .scalar_subquery()
    )
    # SQLite cannot parse ON CONFLICT after a SELECT without WHERE.
    source = select(given.c.tag_id, client_id).where(given.c.tag_id.is_not(None))
    source = source.order_by(given.c.tag_id, client_id)
    statement = insert_into(client_tags).from_select(["tag_id", "client_id"], source)
    db.session.execute(statement.on_conflict_do_nothing())
