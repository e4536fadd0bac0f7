"""Export transactional letters with their contents and values."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import read_in_chunks, to_dict
from skymailing.models import CaughtLetter, Delivery, LetterContent, TransactionalLetter


def read_letters(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the letters that programs sent; `letters.csv` also lists them, by address."""
    letter = TransactionalLetter.__table__.c
    columns = [column for column in letter if column.name not in ("owner_id", "email_key")]
    statement = select(*columns, Delivery.email, Delivery.state, Delivery.finished_at)
    statement = statement.join(Delivery, Delivery.id == letter.delivery_id).where(letter.owner_id == user_id)
    for row in read_in_chunks(statement, letter.delivery_id):
        yield to_dict(row)


def read_contents(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the contents of the user's transactional letters."""
    table = LetterContent.__table__.c
    columns = [column for column in table if column.name not in ("owner_id", "digest")]
    rows = read_in_chunks(select(*columns).where(table.owner_id == user_id), table.id)
    return map(to_dict, rows)


def read_caught(user_id: int) -> Iterator[dict[str, Any]]:
    """Yield the letters added with test keys, and their sources."""
    table = CaughtLetter.__table__.c
    columns = [column for column in table if column.name not in ("id", "owner_id", "source")]
    statement = select(table.id, *columns, table.source).where(table.owner_id == user_id)
    for row in read_in_chunks(statement, table.id):
        values = row._asdict()
        yield to_dict(row) | {"source": values["source"].decode("utf-8", "replace")}


FILES: tuple[tuple[str, Callable[[int], Iterator[dict[str, Any]]]], ...] = (
    ("transactional-emails.json", read_letters),
    ("transactional-contents.json", read_contents),
    ("test-emails.json", read_caught),
)
