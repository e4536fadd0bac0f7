"""Find placeholders of a message that are empty for some recipients, who lack the value."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, func, select

from skymailing.delivery.composition.current import read_current
from skymailing.extensions import db
from skymailing.mailings.selection import Conditions
from skymailing.messages.letter_insight import find_unguarded
from skymailing.messages.placeholders import write_path
from skymailing.messages.unknown_placeholders import Path
from skymailing.models import Client, Message, Suppression, User

# Only the first clients are examined: a million at each change of the form would be too slow.
MAX_EXAMINED = 20_000
MAX_SHOWN = 5
NAME_PATHS = {("name",), ("client", "name"), ("client", "full_name")}
EMAIL_PATH = ("client", "email")


@dataclass(frozen=True)
class MissingValue:
    """A placeholder, and the number of clients for whom it is empty."""

    placeholder: str
    clients: int


@dataclass(frozen=True)
class MissingValues:
    """The missing values, most frequent first, among the first `examined` recipients."""

    found: tuple[MissingValue, ...]
    examined: int
    covers_all: bool  # whether all recipients were examined


def find_missing_values(owner: User, message: Message, conditions: Conditions) -> MissingValues:
    """Return the values that the recipients in the audience lack for a message."""
    content = read_current(db.session, message)
    paths = [path for path in sorted(find_unguarded(content)) if may_be_missing(path)]
    missing = dict.fromkeys(paths, 0)
    examined, left = 0, MAX_EXAMINED
    for condition in conditions:
        if not paths or not left:
            break
        read, count, *counts = db.session.execute(_select_counts(owner, condition, paths, left)).one()
        left -= read
        examined += count
        for path, number in zip(paths, counts, strict=True):
            missing[path] += number
    worst = sorted((path for path in paths if missing[path]), key=lambda path: -missing[path])
    most_frequent = tuple(MissingValue(write_path(path), missing[path]) for path in worst[:MAX_SHOWN])
    return MissingValues(most_frequent, examined, covers_all=left > 0)


def _select_counts(
    owner: User, condition: ColumnElement[bool], paths: list[Path], limit: int
) -> Select[tuple[int, ...]]:
    """Select the number of the first clients, of those who may be mailed, and of those without each value."""
    # Only what is needed, and the limit before the join: PostgreSQL then reads the suppressions once.
    columns = (Client.owner_id, Client.email_key, Client.full_name, Client.attributes)
    own = select(*columns).where(Client.owner_id == owner.id, condition)
    clients = own.order_by(Client.id).limit(limit).subquery()
    is_its_address = (Suppression.owner_id == clients.c.owner_id) & (
        Suppression.email_key == clients.c.email_key
    )
    is_mailable = Suppression.id.is_(None)
    sums = (func.count().filter(is_mailable, is_empty(clients, path)) for path in paths)
    counts = select(func.count(), func.count().filter(is_mailable), *sums)
    return counts.select_from(clients.outerjoin(Suppression, is_its_address))


def may_be_missing(path: Path) -> bool:
    """Return whether the path is a client's value that may be empty; SQLite cannot query quoted names."""
    return path in NAME_PATHS or (
        path[0] == "client" and len(path) == 2 and path != EMAIL_PATH and '"' not in path[1]
    )


def is_empty(clients: Subquery, path: Path) -> ColumnElement[bool]:
    value: ColumnElement[Any] = (
        clients.c.full_name if path in NAME_PATHS else clients.c.attributes[path[1]].as_string()
    )
    return func.trim(func.coalesce(value, "")) == ""
