"""Read, query and save selections of clients for a mailing, in forms and in the database."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, insert, literal, or_, select, true

from skymailing.clients.search.matching import SEARCH_MAX_LENGTH, matches
from skymailing.db.engine import LARGEST_BIG_ID
from skymailing.extensions import db
from skymailing.mailings.errors import MailingError
from skymailing.models import Client, Mailing, User, mailing_clients

# Both databases limit the size of one statement.
RANGES_PER_STATEMENT = 400
# A form lists up to this many selected clients by ID; for more, it refers to the saved mailing.
MAX_LISTED_IDS = 2_000
# Limits for forms; each part costs time in every query of the selection.
MAX_SEARCHES = 20
MAX_RANGES = MAX_LISTED_IDS
MAX_EXCLUDED = RANGES_PER_STATEMENT

Range = tuple[int, int]
# Disjoint conditions on clients that together cover an audience.
Conditions = Sequence[ColumnElement[bool]]


class UnreadableSelection(MailingError):
    """The text cannot be parsed as a selection of clients."""

    def __init__(self) -> None:
        super().__init__("mailing_clients_unreadable")


class SelectionTooComplex(MailingError):
    """A form sent more searches or ranges than the database can evaluate quickly."""

    def __init__(self) -> None:
        super().__init__("mailing_clients_too_complex")


@dataclass(frozen=True)
class Selection:
    """A set of any number of clients, in a form compact enough for hidden fields.

    It contains the IDs in `ranges`, the clients that match a search in `matching`, and those selected for
    the mailing `saved`. The IDs in `excluded` are removed from the last two, but not from `ranges`.
    """

    ranges: tuple[Range, ...] = ()
    matching: tuple[str, ...] = ()
    saved: int | None = None
    excluded: tuple[Range, ...] = ()

    @classmethod
    def of(cls, ids: Iterable[int]) -> "Selection":
        """Return the selection of these IDs."""
        return cls(merge((id, id) for id in ids))

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Selection":
        """Parse the values of `to_values` and single IDs, in any order; raises UnreadableSelection.

        IDs after `shown:` had a check box on the page: those that are not among the plain IDs were unchecked.
        IDs after `drop:` were unchecked on a page that has been replaced since.
        """
        saved: int | None = None
        matching: list[str] = []
        ranges, shown, excluded, dropped = list[Range](), list[Range](), list[Range](), list[Range]()
        for text in texts:
            kind, colon, rest = text.partition(":")
            if not colon:
                ranges += _read_ranges(text)
            elif kind == "match":
                matching.append(rest[:SEARCH_MAX_LENGTH])
            elif kind == "saved":
                saved = next((first for first, _last in _read_ranges(rest)), None)
            elif kind == "shown":
                shown += _read_ranges(rest)
            elif kind == "not":
                excluded += _read_ranges(rest)
            elif kind == "drop":
                dropped += _read_ranges(rest)
            else:
                raise UnreadableSelection
        checked = _subtract(merge(ranges), merge(dropped))
        all_excluded = _subtract(merge(shown + excluded + dropped), checked) if matching or saved else ()
        return cls(checked, tuple(dict.fromkeys(matching)), saved, all_excluded)

    def to_values(self, shown: Iterable[int] = ()) -> list[str]:
        """Return hidden fields for the selection, except the clients in `shown`, who have check boxes."""
        boxes = merge((id, id) for id in shown)
        elsewhere = _subtract(self.ranges, boxes)
        values = [_write(elsewhere)] if elsewhere else []
        values += [f"match:{query}" for query in self.matching]
        values += [f"saved:{self.saved}"] if self.saved else []
        values += [f"not:{_write(self.excluded)}"] if self.excluded else []
        return values if self.is_by_id or not boxes else [*values, f"shown:{_write(boxes)}"]

    def check_complexity(self) -> None:
        """Raise SelectionTooComplex if the queries for this selection would take too long."""
        too_many = (
            len(self.matching) > MAX_SEARCHES
            or len(self.ranges) > MAX_RANGES
            or len(self.excluded) > MAX_EXCLUDED
        )
        if too_many:
            raise SelectionTooComplex

    def count_ids(self) -> int:
        """Return how many IDs the ranges contain, whether or not clients have them."""
        return sum(last - first + 1 for first, last in self.ranges)

    @property
    def is_by_id(self) -> bool:
        return not self.matching and self.saved is None

    def __bool__(self) -> bool:
        return bool(self.ranges) or not self.is_by_id

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield disjoint conditions on clients that together cover the selection, each of limited size."""
        indirect = self._indirect_condition()
        for start in range(0, len(self.ranges), RANGES_PER_STATEMENT):
            chunk = _is_among(self.ranges[start : start + RANGES_PER_STATEMENT])
            yield chunk if indirect is None else chunk & ~indirect
        if indirect is not None:
            yield indirect

    def _indirect_condition(self) -> ColumnElement[bool] | None:
        """Return the condition for clients that are selected by a search or a saved mailing, not by ID."""
        if self.is_by_id:
            return None
        conditions: list[ColumnElement[bool]] = [
            matches(query) if query else true() for query in self.matching
        ]
        if self.saved is not None:
            members = mailing_clients.c
            conditions.append(
                Client.id.in_(select(members.client_id).where(members.mailing_id == self.saved))
            )
        excluded = self.excluded[:RANGES_PER_STATEMENT]
        return or_(*conditions) & ~_is_among(excluded) if excluded else or_(*conditions)


def merge(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return the union of the ranges, in order and with as few ranges as possible."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _read_ranges(text: str) -> list[Range]:
    ranges = []
    for part in text.split(","):
        if not part.strip():
            continue
        match = re.fullmatch(r"\s*(\d{1,19})(?:-(\d{1,19}))?\s*", part, re.ASCII)
        if match is None:
            raise UnreadableSelection
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 < first <= last <= LARGEST_BIG_ID:
            raise UnreadableSelection
        ranges.append((first, last))
    return ranges


def _write(ranges: Iterable[Range]) -> str:
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def _is_among(ranges: Iterable[Range]) -> ColumnElement[bool]:
    return or_(*(Client.id.between(first, last) for first, last in ranges))


def _subtract(ranges: tuple[Range, ...], removed: tuple[Range, ...]) -> tuple[Range, ...]:
    """Return the ranges without those in `removed`; both are sorted."""
    rest: list[Range] = []
    index = 0
    for first, last in ranges:
        while index < len(removed) and removed[index][1] < first:
            index += 1
        position, start = index, first
        while position < len(removed) and removed[position][0] <= last:
            if start < removed[position][0]:
                rest.append((start, removed[position][0] - 1))
            start = max(start, removed[position][1] + 1)
            position += 1
        if start <= last:
            rest.append((start, last))
    return tuple(rest)


def count_selected(owner: User, selection: Selection) -> int:
    """Return how many of the selected IDs are clients of `owner`."""
    return sum(
        db.session.scalar(
            select(func.count()).select_from(Client).where(Client.owner_id == owner.id, condition)
        )
        or 0
        for condition in selection.conditions()
    )


def find_selected(owner: User, selection: Selection, client_ids: Sequence[int]) -> set[int]:
    """Return which of the owner's clients with these IDs are selected; meant for a few clients."""
    few = select(Client.id).where(Client.owner_id == owner.id, Client.id.in_(client_ids))
    return {id for condition in selection.conditions() for id in db.session.scalars(few.where(condition))}


def add_matching(owner: User, selection: Selection, query: str) -> Selection:
    """Return the selection with all clients that match the search, including those excluded before."""
    excluded = selection.excluded if query else ()
    if excluded:
        unselected = select(Client.id).where(Client.owner_id == owner.id, _is_among(excluded))
        excluded = _subtract(
            excluded, merge((id, id) for id in db.session.scalars(unselected.where(matches(query))))
        )
    queries = dict.fromkeys((*selection.matching, query))
    return replace(selection, matching=tuple(queries), excluded=excluded)


def read_selection(mailing: Mailing) -> Selection:
    """Return a mailing's selected clients; a large selection refers to the mailing instead of listing IDs."""
    members = mailing_clients.c
    statement = select(members.client_id).where(members.mailing_id == mailing.id).limit(MAX_LISTED_IDS + 1)
    ids = db.session.scalars(statement).all()
    return Selection.of(ids) if len(ids) <= MAX_LISTED_IDS else Selection(saved=mailing.id)


def read_selected_ids(mailing: Mailing) -> Selection:
    """Return a mailing's selected clients, all listed by ID."""
    members = mailing_clients.c
    return Selection.of(db.session.scalars(select(members.client_id).where(members.mailing_id == mailing.id)))


def is_selection_of(mailing: Mailing, selection: Selection) -> bool:
    """Return whether exactly these clients are selected for a mailing."""
    members = mailing_clients.c
    count_members = select(func.count()).where(members.mailing_id == mailing.id)
    count = db.session.scalar(count_members) or 0
    if count != count_selected(mailing.owner, selection):
        return False
    both = count_members.join_from(mailing_clients, Client, Client.id == members.client_id)
    conditions = selection.conditions()
    return count == sum(db.session.scalar(both.where(condition)) or 0 for condition in conditions)


def select_selected(mailing_id: int) -> Select[Any]:
    """Return a statement for the IDs and addresses of the clients who are selected for a mailing."""
    members = mailing_clients.c
    rows = select(Client.id, Client.email).join(mailing_clients, members.client_id == Client.id)
    return rows.where(members.mailing_id == mailing_id)


def save_selection(mailing: Mailing, selection: Selection) -> None:
    """Save exactly these clients for a mailing; IDs of other owners' clients are ignored."""
    members = mailing_clients.c
    is_member = members.mailing_id == mailing.id
    if selection.saved != mailing.id:
        db.session.execute(delete(mailing_clients).where(is_member))
    elif selection.excluded:
        unselected = select(Client.id).where(_is_among(selection.excluded[:RANGES_PER_STATEMENT]))
        db.session.execute(delete(mailing_clients).where(is_member, members.client_id.in_(unselected)))
    is_saved = exists().where(is_member, members.client_id == Client.id)
    for condition in selection.conditions():
        missing = select(literal(mailing.id), Client.id).where(
            Client.owner_id == mailing.owner_id, condition, ~is_saved
        )
        db.session.execute(insert(mailing_clients).from_select(["mailing_id", "client_id"], missing))
