"""What happened to letters, in numbers that can be added to those of another day or mailing.

Read here from the numbers that runs keep as they go, never from attempts or deliveries.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, extract, func, or_, select, text
from sqlalchemy.orm import Session, scoped_session

from skymailing.models import REPORTED_COUNTS, Outcome, RunAnswer, RunInterval, User
from skymailing.reports.periods import Period

INTERVALS = RunInterval.__table__
# Of the letters sent, by when after their run's start, in per cent.
MEDIAN, P95 = 50, 95

Numbers = type[RunInterval] | type[RunAnswer]
Database = Session | scoped_session[Any]
Stretch = tuple[datetime, datetime]  # the end is not included


@dataclass(frozen=True)
class Scope:
    """Whose letters are wanted: one mailing's, all of an owner's, or everybody's."""

    owner_id: int | None = None
    mailing_id: int | None = None

    def of(self, table: Numbers) -> ColumnElement[bool]:
        """Return the condition, by one column that has an index together with the time."""
        if self.mailing_id is not None:
            return table.mailing_id == self.mailing_id
        if self.owner_id is not None:
            return table.owner_id == self.owner_id
        return table.owner_id.in_(select(User.id))


@dataclass
class Tally:
    """What happened in a stretch of time, as it can be added up."""

    counts: Counter[str] = field(default_factory=Counter)
    # Letters that were sent, by seconds from their run's start, to an interval's width.
    times: Counter[int] = field(default_factory=Counter)
    # Attempts that failed, by the server's code and words.
    reasons: Counter[tuple[int | None, str]] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Add what happened elsewhere."""
        self.counts.update(other.counts)
        self.times.update(other.times)
        self.reasons.update(other.reasons)

    def reached(self, percent: int) -> int | None:
        """Return by when so many per cent of what was sent had been accepted; None when nothing was."""
        whole, upto = self.times.total(), 0
        for elapsed in sorted(self.times):
            upto += self.times[elapsed]
            if upto * 100 >= whole * percent:
                return elapsed
        return None


@dataclass(frozen=True)
class Part:
    """Some of the numbers: of whom, and in which stretches of time."""

    scope: Scope
    stretches: list[Stretch]
    mailing_ids: list[int] | None = None  # of them alone

    def of(self, table: Numbers) -> ColumnElement[bool]:
        """Return the condition for rows of a table."""
        at = table.begins_at
        within = or_(*((at >= begin) & (at < end) for begin, end in self.stretches))
        chosen = self.scope.of(table) & within
        return chosen if self.mailing_ids is None else chosen & table.mailing_id.in_(self.mailing_ids)


def by_day(period: Period) -> Callable[[Numbers], ColumnElement[int]]:
    """Return in which of the period's days, from 0, a row lies: none crosses the end of one.

    Reckoned from stretches of days of one length, as no database can tell the days of every zone.
    """

    def number(table: Numbers) -> ColumnElement[int]:
        at = cast(extract("epoch", table.begins_at), BigInteger)
        return case(
            *((at < end, first + (at - begin) // length) for first, begin, end, length in period.stretches)
        )

    return number


def by_mailing(table: Numbers) -> ColumnElement[int]:
    return table.mailing_id  # type: ignore[return-value]  # a column of the model


def column_sums() -> list[ColumnElement[int]]:
    return [func.sum(INTERVALS.c[name]) for name in REPORTED_COUNTS]


def read_tallies(
    database: Database, part: Part, key: Callable[[Numbers], ColumnElement[int]], *, with_reasons: bool = True
) -> dict[int, Tally]:
    """Return what intervals and answers add up to, by what `key` makes of each row."""
    found: dict[int, Tally] = {}
    if not part.stretches:
        return found
    # By their places: PostgreSQL takes an expression with parameters for another one each time.
    of_intervals = select(key(RunInterval), *column_sums()).where(part.of(RunInterval)).group_by(text("1"))
    for value, *counts in database.execute(of_intervals):
        told = {name: int(count) for name, count in zip(REPORTED_COUNTS, counts, strict=True)}
        found[value] = Tally(Counter(told))
    sent = (
        select(key(RunInterval), RunInterval.elapsed, func.sum(RunInterval.sent))
        .where(part.of(RunInterval), RunInterval.sent > 0)
        .group_by(text("1, 2"))
    )
    for value, elapsed, count in database.execute(sent):
        found.setdefault(value, Tally()).times[elapsed] = int(count)
    if with_reasons:
        _read_reasons(database, part, key, found)
    return found


def _read_reasons(
    database: Database, part: Part, key: Callable[[Numbers], ColumnElement[int]], found: dict[int, Tally]
) -> None:
    statement = (
        select(key(RunAnswer), RunAnswer.code, RunAnswer.words, func.sum(RunAnswer.attempts))
        .where(part.of(RunAnswer), RunAnswer.outcome == Outcome.FAILED)
        .group_by(text("1, 2, 3"))
    )
    for value, code, words, count in database.execute(statement):
        found.setdefault(value, Tally()).reasons[code, words] = int(count)
