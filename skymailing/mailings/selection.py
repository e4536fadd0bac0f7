"""Which clients a mailing is for: chosen by hand, kept between two steps of a form, and saved."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, insert, literal, or_, select

from skymailing.database import LARGEST_BIG_ID
from skymailing.extensions import db
from skymailing.models import Client, Mailing, User, mailing_clients

# Both databases limit how much one statement may hold.
RANGES_PER_STATEMENT = 400

Range = tuple[int, int]


class UnreadableSelection(ValueError):
    """A text names no clients."""


@dataclass(frozen=True)
class Selection:
    """A set of client ids as ranges, so that ten thousand imported in one go are a single pair."""

    ranges: tuple[Range, ...] = ()

    @classmethod
    def of(cls, ids: Iterable[int]) -> "Selection":
        """Return the selection of these ids."""
        return cls.merged((id, id) for id in ids)

    @classmethod
    def merged(cls, ranges: Iterable[Range]) -> "Selection":
        """Return the selection of everything in any of the ranges."""
        merged: list[Range] = []
        for first, last in sorted(ranges):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        return cls(tuple(merged))

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Selection":
        """Read what `str` wrote, or single ids; raises UnreadableSelection."""
        ranges = []
        for part in ",".join(texts).split(","):
            if not part.strip():
                continue
            match = re.fullmatch(r"\s*(\d{1,19})(?:-(\d{1,19}))?\s*", part, re.ASCII)
            if match is None:
                raise UnreadableSelection(part)
            first, last = int(match[1]), int(match[2] or match[1])
            if not 0 < first <= last <= LARGEST_BIG_ID:
                raise UnreadableSelection(part)
            ranges.append((first, last))
        return cls.merged(ranges)

    def __str__(self) -> str:
        return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in self.ranges)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __contains__(self, id: int) -> bool:
        return any(first <= id <= last for first, last in self.ranges)

    def __or__(self, other: "Selection") -> "Selection":
        return Selection.merged(self.ranges + other.ranges)

    def without(self, ids: Iterable[int]) -> "Selection":
        """Return the selection less these few ids."""
        ranges = list(self.ranges)
        for id in ids:
            ranges = [piece for whole in ranges for piece in _cut(whole, id)]
        return Selection(tuple(ranges))

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield conditions on `Client.id` that together cover the selection, each small enough to run."""
        for start in range(0, len(self.ranges), RANGES_PER_STATEMENT):
            chunk = self.ranges[start : start + RANGES_PER_STATEMENT]
            yield or_(*(Client.id.between(first, last) for first, last in chunk))


def _cut(whole: Range, id: int) -> list[Range]:
    first, last = whole
    if not first <= id <= last:
        return [whole]
    return [piece for piece in ((first, id - 1), (id + 1, last)) if piece[0] <= piece[1]]


def count_owned(owner: User, selection: Selection) -> int:
    """Return how many of the selected ids are clients of `owner`."""
    return sum(
        db.session.scalar(
            select(func.count()).select_from(Client).where(Client.owner_id == owner.id, condition)
        )
        or 0
        for condition in selection.conditions()
    )


def keep_owned(owner: User, selection: Selection) -> Selection:
    """Return the part of the selection that is clients of `owner`."""
    ids: list[int] = []
    for condition in selection.conditions():
        ids += db.session.scalars(select(Client.id).where(Client.owner_id == owner.id, condition))
    return Selection.of(ids)


def read_chosen(mailing: Mailing) -> Selection:
    """Return the clients that were chosen for a mailing."""
    chosen = mailing_clients.c
    return Selection.of(db.session.scalars(select(chosen.client_id).where(chosen.mailing_id == mailing.id)))


def save_chosen(mailing: Mailing, selection: Selection) -> None:
    """Make the mailing's chosen clients exactly these; ids that are not its owner's are left out."""
    chosen = mailing_clients.c
    db.session.execute(delete(mailing_clients).where(chosen.mailing_id == mailing.id))
    for condition in selection.conditions():
        db.session.execute(
            insert(mailing_clients).from_select(
                ["mailing_id", "client_id"],
                select(literal(mailing.id), Client.id).where(Client.owner_id == mailing.owner_id, condition),
            )
        )
