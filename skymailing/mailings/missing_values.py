"""Which values a message prints that some of a mailing's clients do not have, and how many of them."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Subquery, func, select, true

from skymailing.delivery.rendering.content import Content
from skymailing.extensions import db
from skymailing.mailings import queries
from skymailing.mailings.selection import Selection
from skymailing.messages.letter_insight import Path, find_unguarded
from skymailing.messages.placeholders import write_path
from skymailing.models import Message, User

# The first of a mailing's clients stand for all: a million, asked at each change of a form, would be felt.
EXAMINED = 20_000
SHOWN = 5
NAMES = {("name",), ("client", "name"), ("client", "full_name")}
EMAIL = ("client", "email")


@dataclass(frozen=True)
class Gap:
    """A placeholder that prints nothing for some clients."""

    placeholder: str
    clients: int


@dataclass(frozen=True)
class Gaps:
    """What is lacking, the worst first, among the `examined` clients, who may be all or the first of them."""

    found: tuple[Gap, ...]
    examined: int

    @property
    def is_whole(self) -> bool:
        return self.examined < EXAMINED


def find_gaps(owner: User, message: Message, chosen: Selection | None) -> Gaps:
    """Return what clients who would get the message lack of it; of those `chosen`, if only some are."""
    content = Content(message.subject, message.format, message.body)
    paths = [path for path in sorted(find_unguarded(content)) if may_lack(path)]
    lacking = dict.fromkeys(paths, 0)
    examined = 0
    for condition in chosen.conditions() if chosen else [true()]:
        if not paths or examined >= EXAMINED:
            break
        reached = queries.select_reached(owner).where(condition).limit(EXAMINED - examined).subquery()
        sums = (func.count().filter(is_empty(reached, path)) for path in paths)
        count, *counts = db.session.execute(select(func.count(), *sums).select_from(reached)).one()
        examined += count
        for path, more in zip(paths, counts, strict=True):
            lacking[path] += more
    worst = sorted((path for path in paths if lacking[path]), key=lambda path: -lacking[path])
    return Gaps(tuple(Gap(write_path(path), lacking[path]) for path in worst[:SHOWN]), examined)


def may_lack(path: Path) -> bool:
    """Whether it is a value of a client's own that may be empty; SQLite cannot look for names with quotes."""
    return path in NAMES or (path[0] == "client" and len(path) == 2 and path != EMAIL and '"' not in path[1])


def is_empty(clients: Subquery, path: Path) -> ColumnElement[bool]:
    value: ColumnElement[Any] = (
        clients.c.full_name if path in NAMES else clients.c.attributes[path[1]].as_string()
    )
    return func.trim(func.coalesce(value, "")) == ""
