"""Query the trigram index for clients that may match a search, and keep the index up to date."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    and_,
    cast,
    column,
    delete,
    func,
    insert,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from skymailing.clients.search.attribute_names import add_names
from skymailing.clients.search.trigrams import (
    TOO_LONG,
    hash_trigrams,
    list_word_trigrams,
    make_indexed_text,
    make_owner_trigram,
    split_trigrams,
)
from skymailing.clock import utcnow
from skymailing.db.engine import is_in
from skymailing.db.json_rows import list_rows
from skymailing.db.text_search import is_sqlite
from skymailing.extensions import db
from skymailing.models import Client, ClientToIndex

# The table in PostgreSQL. On SQLite, it is an FTS5 table, whose content is text.
INDEX = table("client_search", column("client_id", BigInteger), column("content", ARRAY(Integer)))
BATCH = 1000  # maximum number of clients per transaction
BATCH_CHARACTERS = 1_000_000  # a transaction ends after this many, to keep it short and save memory
MAX_WAITING = 2_000  # if more of an owner's clients are not indexed yet, a search does not use the index
SHARE = text("""SELECT :owner_id = (most_common_vals::text::bigint[])[1] AND most_common_freqs[1] > 0.5
    FROM pg_stats WHERE schemaname = current_schema() AND tablename = 'clients' AND attname = 'owner_id'""")
ADVISORY_LOCK = 7_223_001  # PostgreSQL's lock that lets only one job update the index


def find_candidates(owner_id: int, words: Sequence[str], limit: int) -> list[int] | None:
    """Return the IDs of the clients that may contain the words, at most `limit` of them from the index.

    Return None if the index cannot be used: all words are too short, or it is far behind.
    """
    alternatives = [found for word in words if (found := list_word_trigrams(word))]
    if not alternatives:
        return None
    # Queried before the index: a client who is indexed between the two statements must not be missed.
    statement = select(ClientToIndex.client_id).where(ClientToIndex.owner_id == owner_id)
    waiting = db.session.scalars(statement.limit(MAX_WAITING + 1)).all()
    if len(waiting) > MAX_WAITING:
        return None
    find = _find_on_sqlite if is_sqlite() else _find_on_postgresql
    return [*dict.fromkeys((*find(owner_id, alternatives, limit), *waiting))]


def _find_on_sqlite(owner_id: int, words: list[list[list[str]]], limit: int) -> Sequence[int]:
    every = " AND ".join(f"({' OR '.join(map(_join_with_and, alternatives))})" for alternatives in words)
    statement = text("SELECT rowid FROM client_search WHERE client_search MATCH :query LIMIT :limit")
    query = f"{_quote(make_owner_trigram(owner_id))} AND (({every}) OR {_quote(TOO_LONG)})"
    return db.session.scalars(statement, {"query": query, "limit": limit}).all()


def _join_with_and(trigrams: list[str]) -> str:
    return f"({' AND '.join(map(_quote, trigrams))})"


def _quote(trigram: str) -> str:
    return '"' + trigram.replace('"', '""') + '"'


def _find_on_postgresql(owner_id: int, words: list[list[list[str]]], limit: int) -> Sequence[int]:
    every = and_(*(or_(*map(_has_all, alternatives)) for alternatives in words))
    found = select(INDEX.c.client_id).where(or_(every, _has_all([TOO_LONG])))
    if not _owns_most(owner_id):
        found = found.where(_has_all([make_owner_trigram(owner_id)]))
    return db.session.scalars(found.limit(limit)).all()


def _owns_most(owner_id: int) -> bool:
    """Return whether most clients belong to the owner, so that the owner's trigram would exclude few.

    The answer comes from the planner's statistics, since counting takes longer.
    """
    return bool(db.session.scalar(SHARE, {"owner_id": owner_id}))


def _has_all(trigrams: Iterable[str]) -> ColumnElement[bool]:
    return INDEX.c.content.contains(list(hash_trigrams(trigrams)))


def is_behind() -> bool:
    """Return whether any clients are waiting to be indexed."""
    return db.session.scalar(select(ClientToIndex.id).limit(1)) is not None


def index_batch() -> int:
    """Index some clients in the current transaction; return how many entries of the queue were processed."""
    if not is_sqlite() and not db.session.scalar(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK))):
        return 0  # another worker is updating the index; two could leave a client's text outdated
    first = select(ClientToIndex.id, ClientToIndex.client_id).order_by(ClientToIndex.id).limit(BATCH)
    entries = db.session.execute(first).tuples().all()
    # Read after the queue, because a later change to a client adds a new entry.
    texts, names, last = _read_texts(sorted({client_id for _id, client_id in entries}))
    done = [(id, client_id) for id, client_id in entries if client_id <= last]
    if done:
        ids = sorted({client_id for _id, client_id in done})
        (_write_on_sqlite if is_sqlite() else _write_on_postgresql)(ids, texts)
        add_names(names, utcnow())
        is_done = is_in(ClientToIndex.id, [id for id, _client_id in done])
        options = {"synchronize_session": False}
        db.session.execute(delete(ClientToIndex).where(is_done), execution_options=options)
    return len(done)


def merge_pending() -> None:
    """Merge PostgreSQL's list of pending index entries, which every search has to scan."""
    if not is_sqlite():
        db.session.execute(select(func.gin_clean_pending_list("ix_client_search_content")))


def _read_texts(ids: list[int]) -> tuple[dict[int, str], set[tuple[int, str]], int]:
    """Return the clients' indexed texts by ID, their owners' attributes, and the last ID that was read."""
    columns = (Client.id, Client.owner_id, Client.email_key, Client.full_name, Client.attributes)
    statement = select(*columns).where(is_in(Client.id, ids)).order_by(Client.id)
    texts: dict[int, str] = {}
    names: set[tuple[int, str]] = set()
    characters = 0
    with db.session.execute(statement, execution_options={"yield_per": 50}) as rows:
        for row in rows:
            texts[row.id] = make_indexed_text(row.owner_id, _list_texts(row))
            names.update((row.owner_id, name) for name in row.attributes)
            characters += len(texts[row.id])
            if characters >= BATCH_CHARACTERS:
                return texts, names, row.id
    return texts, names, ids[-1] if ids else 0


def _list_texts(row: Any) -> list[str]:
    return [row.email_key, row.full_name, *map(str, row.attributes.values())]


def _write_on_sqlite(ids: list[int], texts: dict[int, str]) -> None:
    connection = db.session.connection()
    connection.exec_driver_sql("DELETE FROM client_search WHERE rowid = ?", [(id,) for id in ids])
    if texts:
        insert = "INSERT INTO client_search (rowid, content) VALUES (?, ?)"
        connection.exec_driver_sql(insert, [*texts.items()])


def _write_on_postgresql(ids: list[int], texts: dict[int, str]) -> None:
    db.session.execute(delete(INDEX).where(is_in(INDEX.c.client_id, ids)))
    rows = [
        (id, f"{{{','.join(map(str, hash_trigrams(split_trigrams(value))))}}}") for id, value in texts.items()
    ]
    given = list_rows(rows, client_id=BigInteger, content=Text)
    source = select(given.c.client_id, cast(given.c.content, ARRAY(Integer)))
    db.session.execute(insert(INDEX).from_select(["client_id", "content"], source))
