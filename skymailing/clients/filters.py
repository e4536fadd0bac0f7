"""Choose clients of an address book: by a search and by a tag."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, false, select

from skymailing.clients.queries import matches
from skymailing.clients.tags import find_tag
from skymailing.delivery.audience.compilation import has_tag
from skymailing.extensions import db
from skymailing.models import Client, User


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """What the list of clients shows. Empty values exclude no one.

    A new criterion is a field here, a condition in `condition`, and an argument of the page's address.
    """

    search: str = ""
    tag: str = ""  # the name of a tag

    def __bool__(self) -> bool:
        return bool(self.search or self.tag)

    def condition(self, owner: User, now: datetime) -> ColumnElement[bool]:  # noqa: ARG002 - for segments
        """Return the condition on the owner's clients; it holds for no one if the tag does not exist."""
        conditions = [matches(self.search)] if self.search else []
        if self.tag:
            tag = find_tag(owner.id, self.tag)
            conditions.append(has_tag(tag.id, db.engine.dialect.name) if tag else false())
        return and_(True, *conditions)


def list_clients(owner: User, chosen: ClientFilter, now: datetime) -> Select[tuple[Client]]:
    """Return a statement for the owner's clients that pass the filter."""
    statement = select(Client).where(Client.owner_id == owner.id)
    return statement.where(chosen.condition(owner, now)) if chosen else statement
