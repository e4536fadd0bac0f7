"""The index of trigrams: ask it for the clients that may match a search, and keep it up to date."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON

from skymailing.clients.search.trigrams import (
    hash_trigrams,
    indexed_text,
    owner_trigram,
    split_trigrams,
    word_trigrams,
)
from skymailing.db.engine import is_in
from skymailing.db.text_search import is_sqlite
from skymailing.extensions import db
from skymailing.models import Client, ClientToIndex

# As PostgreSQL has it. On SQLite it is an FTS5 table, whose content is text.
INDEX = table("client_search", column("client_id", BigInteger), column("content", ARRAY(Integer)))
BATCH = 1000  # clients in a transaction
MOST_WAITING = 2_000  # clients not indexed yet; with more, a search does without the index
ADVISORY_LOCK = 7_223_001  # of PostgreSQL: only one job updates the index


def find_candidates(owner_id: int, words: Sequence[str], limit: int) -> list[int] | None:
    """Return the IDs of clients among whom are all that contain the words, at most `limit`.

    Return None if the index cannot be used: all words are too short, or it is far behind.
    """
    alternatives = [found for word in words if (found := word_trigrams(word))]
    if not alternatives:
        return None
    # Before the index: a client who is indexed between the two statements must not be missed.
    waiting = db.session.scalars(select(ClientToIndex.client_id).limit(MOST_WAITING + 1)).all()
    if len(waiting) > MOST_WAITING:
        return None
    find = _find_on_sqlite if is_sqlite() else _find_on_postgresql
    return [*dict.fromkeys((*find(owner_id, alternatives, limit), *waiting))]


def _find_on_sqlite(owner_id: int, words: list[list[list[str]]], limit: int) -> Sequence[int]:
    every = [f"({' OR '.join(map(_and, alternatives))})" for alternatives in words]
    statement = text("SELECT rowid FROM client_search WHERE client_search MATCH :query LIMIT :limit")
    query = " AND ".join([_quote(owner_trigram(owner_id)), *every])
    return db.session.scalars(statement, {"query": query, "limit": limit}).all()


def _and(trigrams: list[str]) -> str:
    return f"({' AND '.join(map(_quote, trigrams))})"


def _quote(trigram: str) -> str:
    return '"' + trigram.replace('"', '""') + '"'


def _find_on_postgresql(owner_id: int, words: list[list[list[str]]], limit: int) -> Sequence[int]:
    own = _has_all([owner_trigram(owner_id)])
    every = [or_(*map(_has_all, alternatives)) for alternatives in words]
    return db.session.scalars(select(INDEX.c.client_id).where(own, *every).limit(limit)).all()


def _has_all(trigrams: Iterable[str]) -> ColumnElement[bool]:
    return INDEX.c.content.contains(list(hash_trigrams(trigrams)))


def is_behind() -> bool:
    """Return whether clients wait to be indexed."""
    return db.session.scalar(select(ClientToIndex.id).limit(1)) is not None


def index_batch() -> int:
    """Index some clients in the current transaction; return how many entries of the queue are done."""
    if not is_sqlite() and not db.session.scalar(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK))):
        return 0  # another worker is at it: two could store the texts of a client in the wrong order
    first = select(ClientToIndex.id, ClientToIndex.client_id).order_by(ClientToIndex.id).limit(BATCH)
    entries = db.session.execute(first).tuples().all()
    if not entries:
        return 0
    ids = sorted({client_id for _id, client_id in entries})
    # After the queue was read: a later change of a client adds a new entry.
    changed = select(Client.id, Client.owner_id, Client.email_key, Client.full_name, Client.attributes)
    rows = db.session.execute(changed.where(is_in(Client.id, ids))).all()
    texts = {row.id: indexed_text(row.owner_id, _texts(row)) for row in rows}
    (_write_on_sqlite if is_sqlite() else _write_on_postgresql)(ids, texts)
    done = is_in(ClientToIndex.id, [id for id, _client_id in entries])
    db.session.execute(delete(ClientToIndex).where(done), execution_options={"synchronize_session": False})
    return len(entries)


def _texts(row: Any) -> list[str]:
    return [row.email_key, row.full_name, *map(str, row.attributes.values())]


def _write_on_sqlite(ids: list[int], texts: dict[int, str]) -> None:
    connection = db.session.connection()
    connection.exec_driver_sql("DELETE FROM client_search WHERE rowid = ?", [(id,) for id in ids])
    if texts:
        insert = "INSERT INTO client_search (rowid, content) VALUES (?, ?)"
        connection.exec_driver_sql(insert, [*texts.items()])


def _write_on_postgresql(ids: list[int], texts: dict[int, str]) -> None:
    db.session.execute(delete(INDEX).where(is_in(INDEX.c.client_id, ids)))
    # One JSON parameter, as psycopg escapes each element of an array in Python.
    rows = [
        {"client_id": id, "content": f"{{{','.join(map(str, hash_trigrams(split_trigrams(value))))}}}"}
        for id, value in texts.items()
    ]
    columns = (column("client_id", BigInteger), column("content", Text))
    given = func.json_to_recordset(cast(literal(json.dumps(rows)), JSON)).table_valued(*columns, name="given")
    given = given.render_derived(with_types=True)
    source = select(given.c.client_id, cast(given.c.content, ARRAY(Integer)))
    db.session.execute(insert(INDEX).from_select(["client_id", "content"], source))
