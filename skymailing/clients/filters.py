"""Filter the address book by search, tag, segment, status and activity."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, false, select

from skymailing.clients.search.finding import Search, search_clients
from skymailing.clients.tags import find_tag
from skymailing.db.pagination import BoundedCount, Page
from skymailing.delivery.audience.activity import has_activity
from skymailing.delivery.audience.compilation import compile_conditions
from skymailing.delivery.audience.conditions import Leaf
from skymailing.delivery.audience.fields import Activity, Kind, State
from skymailing.delivery.audience.memberships import has_tag
from skymailing.delivery.audience.segments import compile_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.extensions import db
from skymailing.models import Client, Segment, User


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """The filter of the client list; empty values exclude no one.

    A new criterion needs a field here, a condition in `criteria`, and an argument in the page's URL.
    """

    search: str = ""
    tag: str = ""  # the name of a tag
    segment: int = 0  # the ID of a segment
    state: State | None = None
    activity: Activity | None = None

    def __bool__(self) -> bool:
        return bool(self.search or self.tag or self.segment or self.state or self.activity)

    def condition(self, owner: User, now: datetime) -> ColumnElement[bool]:
        """Return the condition on the owner's clients; no one meets it if the tag or segment is missing.

        Raises InvalidConditions if the segment cannot be evaluated.
        """
        return find_clients(owner, self, now).condition

    def criteria(self, owner: User, now: datetime) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions of all criteria except the search."""
        if self.tag:
            tag = find_tag(owner.id, self.tag)
            yield has_tag(tag.id, db.engine.dialect.name) if tag else false()
        if self.segment:
            yield _is_in_segment(owner, self.segment, now)
        if self.state:
            leaf = Leaf("state", Kind.STATE, "is", self.state)
            yield compile_conditions(leaf, Viewpoint.of(owner, now))
        if self.activity:
            yield has_activity(self.activity, Viewpoint.of(owner, now), db.engine.dialect.name)


@dataclass(frozen=True, slots=True)
class FoundClients:
    """An owner's clients who match a filter."""

    owner_id: int
    condition: ColumnElement[bool]
    search: Search

    @property
    def statement(self) -> Select[tuple[Client]]:
        return select(Client).where(Client.owner_id == self.owner_id, self.condition)

    def count(self, page: Page) -> BoundedCount:
        """Count clients up to a limit, given a page; if a search finds many, only some are counted."""
        return page.count_if_single_page() or self.search.count(self.statement)


def find_clients(owner: User, chosen: ClientFilter, now: datetime) -> FoundClients:
    """Return the owner's clients who match the filter."""
    search, criteria = search_clients(owner.id, chosen.search), list(chosen.criteria(owner, now))
    if criteria:
        # For a frequent word, only some clients are counted; possibly none of them meets the other criteria.
        search = replace(search, counted=None)
    return FoundClients(owner.id, and_(search.condition, *criteria), search)


def _is_in_segment(owner: User, segment_id: int, now: datetime) -> ColumnElement[bool]:
    segment = find_segment(owner.id, segment_id)
    return compile_segment(segment.conditions, owner, now) if segment else false()


def find_segment(owner_id: int, segment_id: int) -> Segment | None:
    """Return the owner's segment with this ID, or None."""
    condition = (Segment.owner_id == owner_id) & (Segment.id == segment_id)
    return db.session.scalar(select(Segment).where(condition))


def list_segments(owner_id: int) -> list[tuple[int, str]]:
    """Return the IDs and names of the owner's segments, by name."""
    statement = select(Segment.id, Segment.name).where(Segment.owner_id == owner_id)
    return list(db.session.execute(statement.order_by(Segment.name, Segment.id)).tuples())
