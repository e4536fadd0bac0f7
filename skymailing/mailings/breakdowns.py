"""The results of a run's letters by mailbox provider, by segment and tag, and by hour."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, select

from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.audience.memberships import has_tag
from skymailing.delivery.audience.segments import compile_segment
from skymailing.extensions import db
from skymailing.mailings import breakdown_queries
from skymailing.mailings.breakdown_queries import NOT_ACCEPTED, Counts, Letters
from skymailing.mailings.log_queries import format_time
from skymailing.mailings.outcomes import Outcomes
from skymailing.models import Run, Tag, User

SECONDS = 5.0  # for domains and parts together; what takes longer is left out
SHOWN = 10  # domains, or tags
HOURS_SHOWN = 48
EXPORTED = 1_000
# The numbers of a group in files and for programs, in column order.
NUMBERS = ("sent", "unsent", "returned", "complaints", "unsubscribed", "clicked", "opened")
# Those on pages: the same as on a run's tiles.
SHOWN_NUMBERS = (
    *("delivered", "undelivered", "unknown", "not_sent"),
    *("clicked", "opened", "unsubscribed", "complaints"),
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Group:
    """The letters to one domain, segment or tag, or what happened in one hour."""

    name: str  # empty for all others
    counts: Mapping[str, int]
    begins_at: datetime | None = None  # of an hour

    def __getitem__(self, name: str) -> int:
        match name:
            case "delivered":
                return self.outcomes.delivered
            case "undelivered":
                return self.outcomes.undelivered
            case "unsent":
                return sum(self[part] for part in NOT_ACCEPTED)
        return self.counts.get(name, 0)

    @property
    def outcomes(self) -> Outcomes:
        return Outcomes.of({name: self[name] for name in ("sent", "failed", "unknown", "returned")})

    def whole_of(self, name: str) -> int:
        """Return the count of which a number is a share: usually delivered letters, as on other pages."""
        if name == "not_sent":
            return self.outcomes.total + self["not_sent"]
        is_outcome = name in {"delivered", "undelivered", "unknown"}
        return self.outcomes.total if is_outcome else self.outcomes.delivered


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The groups of one kind; None if counting them takes too long."""

    groups: Sequence[Group] | None = ()

    @property
    def numbers(self) -> list[str]:
        """The numbers on a page: `delivered`, and those above 0 in at least one group."""
        groups = self.groups or ()
        return [name for name in SHOWN_NUMBERS if name == "delivered" or any(group[name] for group in groups)]


@dataclass(frozen=True, slots=True)
class Breakdowns:
    """All breakdowns of a run, or of the letters of a variant."""

    domains: Breakdown = field(default_factory=Breakdown)
    # By the segments and tags that the run was for, or by all tags if it was not for any.
    parts: Breakdown = field(default_factory=Breakdown)
    hours: Breakdown = field(default_factory=Breakdown)
    has_all_tags: bool = False
    # People who unsubscribed by other means than a link; only hours include them.
    left_by_email: int = 0


def break_down(run: Run, zone: ZoneInfo, now: datetime, variant: int = 0, most: int = SHOWN) -> Breakdowns:
    """Return a run's results, or a variant's (without hours); `most` limits domains and tags."""
    hours = Breakdown()
    if not variant:
        hours = Breakdown(_list_hours(breakdown_queries.count_by_hour(run, zone), most))
    if run.details_removed_at:
        return Breakdowns(hours=hours)
    letters = breakdown_queries.select_letters(run, variant)
    ends_at = time.monotonic() + SECONDS
    domains = _limit(ends_at, lambda: _list_largest(breakdown_queries.count_by_domain(letters), most))
    has_all_tags = not (run.audience or {}).get("include")
    count = _count_tags if has_all_tags else _count_parts
    parts = _limit(ends_at, lambda: count(run, letters, now)[:most])
    left_by_email = 0
    if domains is not None and not variant:
        left_by_email = max(0, run.unsubscribed - sum(group["unsubscribed"] for group in domains))
    return Breakdowns(Breakdown(domains), Breakdown(parts), hours, has_all_tags, left_by_email)


def _limit(ends_at: float, count: Callable[[], T]) -> T | None:
    try:
        with limit_time(ends_at - time.monotonic()):
            return count()
    except TookTooLong:
        return None


def _list_largest(counts: Counts, most: int) -> list[Group]:
    """Return the groups with the most sent letters, and all others as one."""
    groups = _sort([Group(name, count) for name, count in counts.items()])
    if len(groups) <= most:
        return groups
    others: Counter[str] = Counter()
    for group in groups[most:]:
        others.update(group.counts)
    return [*groups[:most], Group("", others)]


def _sort(groups: Sequence[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: (-group["sent"], -group["unsent"], group.name))


def _list_hours(counts: Counts, most: int) -> list[Group]:
    """Return the hours in which something happened; those beyond the limit are combined."""
    shown = HOURS_SHOWN if most == SHOWN else most
    hours = [Group(format_time(hour), count, hour) for hour, count in counts.items()]
    later: Counter[str] = Counter()
    for hour in hours[shown:]:
        later.update(hour.counts)
    return [*hours[:shown], Group("", later)] if later else hours


def _count_tags(run: Run, letters: Letters, _now: datetime) -> list[Group]:
    owner_id = run.mailing.owner_id
    if db.session.scalar(select(Tag.id).where(Tag.owner_id == owner_id).limit(1)) is None:
        return []
    counts = breakdown_queries.count_by_tag(letters, owner_id)
    return _sort([Group(name, count) for name, count in counts.items()])


def _count_parts(run: Run, letters: Letters, now: datetime) -> list[Group]:
    """Count by each segment and tag that the run was for, except those that no longer work."""
    owner = run.mailing.owner
    found = [(part["name"], _read_part(part, owner, now)) for part in (run.audience or {})["include"]]
    parts = [(name, condition) for name, condition in found if condition is not None]
    conditions = [condition for _name, condition in parts]
    counts = breakdown_queries.count_by_condition(letters, owner.id, conditions)
    return _sort([Group(name, count) for (name, _condition), count in zip(parts, counts, strict=True)])


def _read_part(part: Mapping[str, Any], owner: User, now: datetime) -> ColumnElement[bool] | None:
    """Return the condition of a tag, or of a segment as stored in the run."""
    if "tag" in part:
        # SQLite may reuse the ID of a deleted tag.
        own = select(Tag.id).where(Tag.id == part["tag"], Tag.owner_id == owner.id, Tag.name == part["name"])
        found = db.session.scalar(own)
        return None if found is None else has_tag(found, db.engine.dialect.name)
    try:
        return compile_segment(part["conditions"], owner, now)
    except InvalidConditions:
        return None


def export_rows(breakdowns: Breakdowns) -> Iterator[Sequence[Any]]:
    """Yield the rows of the CSV file, header first; hours are in UTC, and empty names mean all others."""
    yield ("by", "name", *NUMBERS)
    kinds = {"domain": breakdowns.domains, "segment_or_tag": breakdowns.parts, "hour": breakdowns.hours}
    for kind, breakdown in kinds.items():
        for group in breakdown.groups or ():
            yield (kind, group.name, *(group[name] for name in NUMBERS))
