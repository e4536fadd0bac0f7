"""Aggregates of deliveries and attempts that can be added across days and mailings.

They are computed from the counts that runs keep, never from attempts or deliveries.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, case, cast, extract, func, or_, select, text
from sqlalchemy.orm import Session, scoped_session

from skymailing.models import REPORTED_COUNTS, Outcome, Run, RunAnswer, RunInterval, User
from skymailing.reports.periods import Period

INTERVALS = RunInterval.__table__
# Letters that servers accepted and that did not come back.
DELIVERED = INTERVALS.c.sent - INTERVALS.c.returned
# What is added up: all reported counts, and the letters of runs that count clicks, sent less returned.
SUMS = (*REPORTED_COUNTS, "tracked")
# Percentiles of the time from a run's start until a letter was sent.
MEDIAN, P95 = 50, 95

CountsTable = type[RunInterval] | type[RunAnswer]
GroupKey = Callable[[CountsTable], ColumnElement[int]]
Database = Session | scoped_session[Any]
TimeRange = tuple[datetime, datetime]  # the end is excluded


@dataclass(frozen=True)
class Scope:
    """The letters to report on: those of one mailing, of one owner, or of all users."""

    owner_id: int | None = None
    mailing_id: int | None = None

    def condition(self, table: CountsTable) -> ColumnElement[bool]:
        """Return a condition on a single column, which is indexed together with the time."""
        if self.mailing_id is not None:
            return table.mailing_id == self.mailing_id
        if self.owner_id is not None:
            return table.owner_id == self.owner_id
        return table.owner_id.in_(select(User.id))


@dataclass
class Aggregate:
    """The counts for a time range, which can be added to those of another."""

    counts: Counter[str] = field(default_factory=Counter)
    # Sent letters by seconds from their run's start, to the precision of the intervals.
    times: Counter[int] = field(default_factory=Counter)
    # Failed attempts by the code and text of the server's reply.
    reasons: Counter[tuple[int | None, str]] = field(default_factory=Counter)

    def add(self, other: "Aggregate") -> None:
        """Add the counts of another aggregate."""
        self.counts.update(other.counts)
        self.times.update(other.times)
        self.reasons.update(other.reasons)

    def percentile(self, percent: int) -> int | None:
        """Return the seconds within which this percentage of the sent letters was sent; None if none were."""
        total, sent = self.times.total(), 0
        for elapsed in sorted(self.times):
            sent += self.times[elapsed]
            if sent * 100 >= total * percent:
                return elapsed
        return None


@dataclass(frozen=True)
class Selection:
    """The counts to read: their scope and time ranges."""

    scope: Scope
    ranges: list[TimeRange]
    mailing_ids: list[int] | None = None  # only these mailings

    def condition(self, table: CountsTable) -> ColumnElement[bool]:
        """Return the condition that selects rows of a table."""
        at = table.begins_at
        in_ranges = or_(*((at >= start) & (at < end) for start, end in self.ranges))
        selected = self.scope.condition(table) & in_ranges
        return selected if self.mailing_ids is None else selected & table.mailing_id.in_(self.mailing_ids)


def day_key(period: Period) -> GroupKey:
    """Return the key that groups rows by the number of their day in the period; no row crosses its end."""
    return lambda table: number_day(period, table.begins_at)


def number_day(period: Period, column: Any) -> ColumnElement[int]:
    """Return the number of the day in the period, from 0, in which the time in a column lies.

    The times are in whole seconds, because databases round fractions, also up to the next day.
    """
    return number_day_of_seconds(period, count_seconds(column))


def count_seconds(column: Any) -> ColumnElement[int]:
    """Return the seconds since 1970 of the time in a column, which must be in whole seconds."""
    return cast(extract("epoch", column), BigInteger)


def number_day_of_seconds(period: Period, at: ColumnElement[int]) -> ColumnElement[int]:
    """Return the number of the day in the period for a time in seconds since 1970.

    It is computed from ranges of days of equal length, because not every database knows when days begin in a
    zone.
    """
    return case(
        *((at < end, first + (at - start) // length) for first, start, end, length in period.uniform_ranges)
    )


def mailing_key(table: CountsTable) -> ColumnElement[int]:
    """Group rows by mailing."""
    return table.mailing_id  # type: ignore[return-value]  # a column of the model


def select_sums(selection: Selection, *keys: Any) -> Select[Any]:
    """Select the keys, by which the statement still has to be grouped, and the sums in the order of SUMS."""
    tracked = func.sum(case((Run.track_clicks, DELIVERED), else_=0))
    counted = (func.sum(INTERVALS.c[name]) for name in REPORTED_COUNTS)
    sums = select(*keys, *counted, tracked).join_from(RunInterval, Run, Run.id == RunInterval.run_id)
    return sums.where(selection.condition(RunInterval))


def read_aggregates(
    database: Database, selection: Selection, key: GroupKey, *, with_reasons: bool = True
) -> dict[int, Aggregate]:
    """Return the aggregates of the selected counts, grouped by `key`."""
    aggregates: dict[int, Aggregate] = {}
    if not selection.ranges:
        return aggregates
    # GROUP BY positions: PostgreSQL treats each use of an expression with parameters as a different one.
    counted = select_sums(selection, key(RunInterval))
    for value, *counts in database.execute(counted.group_by(text("1"))):
        by_name = {name: int(count) for name, count in zip(SUMS, counts, strict=True)}
        aggregates[value] = Aggregate(Counter(by_name))
    sent = (
        select(key(RunInterval), RunInterval.elapsed, func.sum(RunInterval.sent))
        .where(selection.condition(RunInterval), RunInterval.sent > 0)
        .group_by(text("1, 2"))
    )
    for value, elapsed, count in database.execute(sent):
        aggregates.setdefault(value, Aggregate()).times[elapsed] = int(count)
    if with_reasons:
        _read_reasons(database, selection, key, aggregates)
    return aggregates


def _read_reasons(
    database: Database, selection: Selection, key: GroupKey, aggregates: dict[int, Aggregate]
) -> None:
    statement = (
        select(key(RunAnswer), RunAnswer.code, RunAnswer.words, func.sum(RunAnswer.attempts))
        .where(selection.condition(RunAnswer), RunAnswer.outcome == Outcome.FAILED)
        .group_by(text("1, 2, 3"))
    )
    for value, code, words, count in database.execute(statement):
        aggregates.setdefault(value, Aggregate()).reasons[code, words] = int(count)
