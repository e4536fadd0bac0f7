"""Find placeholders of a message that are empty for some recipients, who lack the value."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Subquery, func, select

from skymailing.delivery.composition.current import read_current
from skymailing.extensions import db
from skymailing.mailings import queries
from skymailing.mailings.selection import Conditions
from skymailing.messages.letter_insight import find_unguarded
from skymailing.messages.placeholders import write_path
from skymailing.messages.unknown_placeholders import Path
from skymailing.models import Message, User

# Only the first recipients are examined: a million at each change of the form would be too slow.
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

    @property
    def covers_all(self) -> bool:
        """Whether all recipients were examined."""
        return self.examined < MAX_EXAMINED


def find_missing_values(owner: User, message: Message, conditions: Conditions) -> MissingValues:
    """Return the values that the recipients in the audience lack for a message."""
    content = read_current(db.session, message)
    paths = [path for path in sorted(find_unguarded(content)) if may_be_missing(path)]
    missing = dict.fromkeys(paths, 0)
    examined = 0
    for condition in conditions:
        if not paths or examined >= MAX_EXAMINED:
            break
        recipients = (
            queries.select_mailable_clients(owner).where(condition).limit(MAX_EXAMINED - examined).subquery()
        )
        sums = (func.count().filter(is_empty(recipients, path)) for path in paths)
        count, *counts = db.session.execute(select(func.count(), *sums).select_from(recipients)).one()
        examined += count
        for path, number in zip(paths, counts, strict=True):
            missing[path] += number
    worst = sorted((path for path in paths if missing[path]), key=lambda path: -missing[path])
    most_frequent = tuple(MissingValue(write_path(path), missing[path]) for path in worst[:MAX_SHOWN])
    return MissingValues(most_frequent, examined)


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
