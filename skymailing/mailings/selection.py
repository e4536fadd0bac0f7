"""Which clients a mailing is for: chosen by hand, kept between two steps of a form, and saved."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, delete, exists, func, insert, literal, or_, select, true

from skymailing.clients.queries import SEARCH_MAX_LENGTH, matches
from skymailing.db.engine import LARGEST_BIG_ID
from skymailing.extensions import db
from skymailing.models import Client, Mailing, User, mailing_clients

# Both databases limit how much one statement may hold.
RANGES_PER_STATEMENT = 400
# From so many on, a form names the clients of a saved mailing by the mailing, not one by one.
LARGE = 2_000

Range = tuple[int, int]


class UnreadableSelection(ValueError):
    """A text names no clients."""


@dataclass(frozen=True)
class Selection:
    """A set of clients that a form can carry however large it is.

    It holds the ids in `ranges`, whoever matches one of the searches in `matching`, and whoever is chosen
    for the mailing `saved`; of these two, but not of `ranges`, less the ids in `excluded`.
    """

    ranges: tuple[Range, ...] = ()
    matching: tuple[str, ...] = ()
    saved: int | None = None
    excluded: tuple[Range, ...] = ()

    @classmethod
    def of(cls, ids: Iterable[int]) -> "Selection":
        """Return the selection of these ids."""
        return cls(merged((id, id) for id in ids))

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Selection":
        """Read what `to_values` wrote and single ids, in any order; raises UnreadableSelection.

        Ids after `shown:` stood on the page with a box: those that come without it were unticked.
        """
        saved: int | None = None
        matching: list[str] = []
        ranges, shown, excluded = list[Range](), list[Range](), list[Range]()
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
            else:
                raise UnreadableSelection(text)
        ticked = merged(ranges)
        left_out = _subtract(merged(shown + excluded), ticked) if matching or saved else ()
        return cls(ticked, tuple(dict.fromkeys(matching)), saved, left_out)

    def to_values(self, shown: Iterable[int] = ()) -> list[str]:
        """Return the hidden fields that carry the selection beside the boxes of those `shown`."""
        boxes = merged((id, id) for id in shown)
        elsewhere = _subtract(self.ranges, boxes)
        values = [_write(elsewhere)] if elsewhere else []
        values += [f"match:{query}" for query in self.matching]
        values += [f"saved:{self.saved}"] if self.saved else []
        values += [f"not:{_write(self.excluded)}"] if self.excluded else []
        return values if self.is_by_id or not boxes else [*values, f"shown:{_write(boxes)}"]

    def count_ids(self) -> int:
        """Return how many ids there are in the ranges, clients' or not."""
        return sum(last - first + 1 for first, last in self.ranges)

    @property
    def is_by_id(self) -> bool:
        return not self.matching and self.saved is None

    def __bool__(self) -> bool:
        return bool(self.ranges) or not self.is_by_id

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield conditions on clients that share nobody, cover the selection, and are small enough to run."""
        wide = self._wide()
        for start in range(0, len(self.ranges), RANGES_PER_STATEMENT):
            chunk = _among(self.ranges[start : start + RANGES_PER_STATEMENT])
            yield chunk if wide is None else chunk & ~wide
        if wide is not None:
            yield wide

    def _wide(self) -> ColumnElement[bool] | None:
        """Return the condition for those who are chosen otherwise than by their ids."""
        if self.is_by_id:
            return None
        ways: list[ColumnElement[bool]] = [matches(query) if query else true() for query in self.matching]
        if self.saved is not None:
            chosen = mailing_clients.c
            ways.append(Client.id.in_(select(chosen.client_id).where(chosen.mailing_id == self.saved)))
        excluded = self.excluded[:RANGES_PER_STATEMENT]
        return or_(*ways) & ~_among(excluded) if excluded else or_(*ways)


def merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return everything in any of the ranges, in order and as few ranges as can be."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def _read_ranges(text: str) -> list[Range]:
    ranges = []
    for part in text.split(","):
        if not part.strip():
            continue
        match = re.fullmatch(r"\s*(\d{1,19})(?:-(\d{1,19}))?\s*", part, re.ASCII)
        if match is None:
            raise UnreadableSelection(part)
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 < first <= last <= LARGEST_BIG_ID:
            raise UnreadableSelection(part)
        ranges.append((first, last))
    return ranges


def _write(ranges: Iterable[Range]) -> str:
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def _among(ranges: Iterable[Range]) -> ColumnElement[bool]:
    return or_(*(Client.id.between(first, last) for first, last in ranges))


def _subtract(ranges: tuple[Range, ...], less: tuple[Range, ...]) -> tuple[Range, ...]:
    """Return the ranges without what is in `less`; both in order, in one walk."""
    rest: list[Range] = []
    index = 0
    for first, last in ranges:
        while index < len(less) and less[index][1] < first:
            index += 1
        here, begin = index, first
        while here < len(less) and less[here][0] <= last:
            if begin < less[here][0]:
                rest.append((begin, less[here][0] - 1))
            begin = max(begin, less[here][1] + 1)
            here += 1
        if begin <= last:
            rest.append((begin, last))
    return tuple(rest)


def count_owned(owner: User, selection: Selection) -> int:
    """Return how many of the selected ids are clients of `owner`."""
    return sum(
        db.session.scalar(
            select(func.count()).select_from(Client).where(Client.owner_id == owner.id, condition)
        )
        or 0
        for condition in selection.conditions()
    )


def chosen_among(owner: User, selection: Selection, client_ids: Sequence[int]) -> set[int]:
    """Return which of a few clients of the owner are selected."""
    few = select(Client.id).where(Client.owner_id == owner.id, Client.id.in_(client_ids))
    return {id for condition in selection.conditions() for id in db.session.scalars(few.where(condition))}


def add_matching(owner: User, selection: Selection, query: str) -> Selection:
    """Return the selection and whoever matches the search, also those who were left out before."""
    excluded = selection.excluded if query else ()
    if excluded:
        left_out = select(Client.id).where(Client.owner_id == owner.id, _among(excluded))
        excluded = _subtract(
            excluded, merged((id, id) for id in db.session.scalars(left_out.where(matches(query))))
        )
    queries = dict.fromkeys((*selection.matching, query))
    return replace(selection, matching=tuple(queries), excluded=excluded)


def read_chosen(mailing: Mailing) -> Selection:
    """Return the clients that were chosen for a mailing."""
    chosen = mailing_clients.c
    ids = select(chosen.client_id).where(chosen.mailing_id == mailing.id).limit(LARGE + 1)
    found = db.session.scalars(ids).all()
    return Selection.of(found) if len(found) <= LARGE else Selection(saved=mailing.id)


def read_ids(mailing: Mailing) -> Selection:
    """Return the clients that were chosen for a mailing, all by their ids."""
    chosen = mailing_clients.c
    return Selection.of(db.session.scalars(select(chosen.client_id).where(chosen.mailing_id == mailing.id)))


def is_chosen(mailing: Mailing, selection: Selection) -> bool:
    """Whether exactly these clients were chosen for a mailing."""
    chosen = mailing_clients.c
    of_mailing = select(func.count()).where(chosen.mailing_id == mailing.id)
    count = db.session.scalar(of_mailing) or 0
    if count != count_owned(mailing.owner, selection):
        return False
    both = of_mailing.join_from(mailing_clients, Client, Client.id == chosen.client_id)
    conditions = selection.conditions()
    return count == sum(db.session.scalar(both.where(condition)) or 0 for condition in conditions)


def save_chosen(mailing: Mailing, selection: Selection) -> None:
    """Make the mailing's chosen clients exactly these; ids that are not its owner's are left out."""
    chosen = mailing_clients.c
    of_mailing = chosen.mailing_id == mailing.id
    if selection.saved != mailing.id:
        db.session.execute(delete(mailing_clients).where(of_mailing))
    elif selection.excluded:
        left_out = select(Client.id).where(_among(selection.excluded[:RANGES_PER_STATEMENT]))
        db.session.execute(delete(mailing_clients).where(of_mailing, chosen.client_id.in_(left_out)))
    is_there = exists().where(of_mailing, chosen.client_id == Client.id)
    for condition in selection.conditions():
        wanted = select(literal(mailing.id), Client.id).where(
            Client.owner_id == mailing.owner_id, condition, ~is_there
        )
        db.session.execute(insert(mailing_clients).from_select(["mailing_id", "client_id"], wanted))
