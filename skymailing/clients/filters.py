"""Choose clients of an address book: by a search, a tag, a segment, and whether they may be mailed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, false, select

from skymailing.clients.queries import matches
from skymailing.clients.tags import find_tag
from skymailing.delivery.audience.compilation import compile_conditions, has_tag
from skymailing.delivery.audience.conditions import Leaf
from skymailing.delivery.audience.fields import Kind, State
from skymailing.delivery.audience.segments import compile_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.extensions import db
from skymailing.models import Client, Segment, User


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """What the list of clients shows. Empty values exclude no one.

    A new criterion is a field here, a condition in `condition`, and an argument of the page's address.
    """

    search: str = ""
    tag: str = ""  # the name of a tag
    segment: int = 0  # the ID of a segment
    state: State | None = None

    def __bool__(self) -> bool:
        return bool(self.search or self.tag or self.segment or self.state)

    def condition(self, owner: User, now: datetime) -> ColumnElement[bool]:
        """Return the condition on the owner's clients; it holds for no one if the tag or segment is missing.

        Raises InvalidConditions if the segment cannot be evaluated.
        """
        conditions = [matches(self.search)] if self.search else []
        if self.tag:
            tag = find_tag(owner.id, self.tag)
            conditions.append(has_tag(tag.id, db.engine.dialect.name) if tag else false())
        if self.segment:
            conditions.append(_in_segment(owner, self.segment, now))
        if self.state:
            leaf = Leaf("state", Kind.STATE, "is", self.state)
            conditions.append(compile_conditions(leaf, Viewpoint.of(owner, now)))
        return and_(True, *conditions)


def _in_segment(owner: User, segment_id: int, now: datetime) -> ColumnElement[bool]:
    segment = find_segment(owner.id, segment_id)
    return compile_segment(segment.conditions, owner, now) if segment else false()


def find_segment(owner_id: int, segment_id: int) -> Segment | None:
    """Return the owner's segment with this ID, or None."""
    own = (Segment.owner_id == owner_id) & (Segment.id == segment_id)
    return db.session.scalar(select(Segment).where(own))


def list_segments(owner_id: int) -> list[tuple[int, str]]:
    """Return the IDs and names of the owner's segments, by name."""
    own = select(Segment.id, Segment.name).where(Segment.owner_id == owner_id)
    return list(db.session.execute(own.order_by(Segment.name, Segment.id)).tuples())


def list_clients(owner: User, chosen: ClientFilter, now: datetime) -> Select[tuple[Client]]:
    """Return a statement for the owner's clients that pass the filter; raises InvalidConditions."""
    statement = select(Client).where(Client.owner_id == owner.id)
    return statement.where(chosen.condition(owner, now)) if chosen else statement
