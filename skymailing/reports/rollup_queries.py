"""Read the daily rollups that `daily_rollup` writes: which of them are current, and their counts."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, literal, literal_column, select

from skymailing.extensions import db
from skymailing.models import ReportDay, RunInterval
from skymailing.reports.aggregates import SUMS, Aggregate, Scope, TimeRange, day_key
from skymailing.reports.periods import Period

ALL_MAILINGS = 0  # the ID in the row that counts all mailings together
# Written exactly as in the partial index: SQLite would not recognize "is_fresh = 1" as the same.
IS_FRESH: ColumnElement[bool] = literal_column("run_intervals.is_fresh")


@dataclass(frozen=True)
class Rollups:
    """The days of a period that have a current rollup, by number, and the time ranges without one."""

    days: dict[int, Aggregate]
    uncovered: list[TimeRange]

    def list_starts(self, period: Period) -> list[datetime]:
        """Return the starts of the days that have a current rollup."""
        return [period.day_bounds[number][0] for number in self.days]


def read_rollups(scope: Scope, period: Period) -> Rollups:
    """Return the current rollups and the time ranges that must be read interval by interval.

    A single statement reads both, so that they are consistent.
    """
    if scope.owner_id is None:
        return Rollups({}, [(period.begins_at, period.ends_at)])
    mailing_ids = {ALL_MAILINGS} if scope.mailing_id is None else {ALL_MAILINGS, scope.mailing_id}
    rollups = select(*_list_columns()).where(
        ReportDay.owner_id == scope.owner_id,
        ReportDay.mailing_id.in_(mailing_ids),
        ReportDay.begins_at < period.ends_at,
        ReportDay.ends_at > period.begins_at,
    )
    fresh_days, days = set(), []
    for row in db.session.execute(rollups.union_all(_select_fresh_days(scope.owner_id, period))):
        if row.is_fresh or row.tracked is None:
            fresh_days.add(row.begins_at)
        else:
            days.append(row)
    numbers = {bounds: number for number, bounds in enumerate(period.day_bounds)}
    if any((row.begins_at, row.ends_at) not in numbers for row in days):
        # The rollups are for a different time zone than this report.
        return Rollups({}, [(period.begins_at, period.ends_at)])
    rolled_up: dict[int, Aggregate] = {}
    uncovered = []
    for (begins_at, ends_at), number in numbers.items():
        if any(begins_at <= at < ends_at for at in fresh_days):
            uncovered.append((begins_at, ends_at))
        else:
            rolled_up[number] = Aggregate()
    for row in days:
        number = numbers[row.begins_at, row.ends_at]
        if number in rolled_up and row.mailing_id == (scope.mailing_id or ALL_MAILINGS):
            rolled_up[number] = _parse(row)
    return Rollups(rolled_up, _join_adjacent(uncovered))


def read_mailing_rollups(
    scope: Scope, starts: Iterable[datetime], mailing_ids: list[int] | None
) -> dict[int, Aggregate]:
    """Return each mailing's aggregate over the days with these starts."""
    statement = select(*_list_columns()).where(single_mailing_condition(scope, starts))
    if mailing_ids is not None:
        statement = statement.where(ReportDay.mailing_id.in_(mailing_ids))
    aggregates: dict[int, Aggregate] = {}
    for row in db.session.execute(statement):
        aggregates.setdefault(row.mailing_id, Aggregate()).add(_parse(row))
    return aggregates


def single_mailing_condition(scope: Scope, starts: Iterable[datetime]) -> ColumnElement[bool]:
    """Return the condition for rollups of single mailings on the days with these starts."""
    if scope.mailing_id:
        is_single = ReportDay.mailing_id == scope.mailing_id
    else:
        is_single = ReportDay.mailing_id > ALL_MAILINGS
    return (ReportDay.owner_id == scope.owner_id) & is_single & ReportDay.begins_at.in_(list(starts))


def _list_columns() -> list[Any]:
    table = ReportDay.__table__.c
    plain = [table[name] for name in ("begins_at", "ends_at", "mailing_id", *SUMS, "times", "reasons")]
    return [*plain, literal(0).label("is_fresh")]


def _select_fresh_days(owner_id: int, period: Period) -> Select[Any]:
    """Select one time in each day that has fresh intervals, with the same columns as rollups."""
    at = func.min(RunInterval.begins_at)
    zeros = [literal(0) for _name in ("mailing_id", *SUMS)]
    statement = select(at, at, *zeros, literal(""), literal(""), literal(1)).where(
        IS_FRESH,
        RunInterval.owner_id == owner_id,
        RunInterval.begins_at >= period.begins_at,
        RunInterval.begins_at < period.ends_at,
    )
    return statement.group_by(day_key(period)(RunInterval))


def _join_adjacent(ranges: list[TimeRange]) -> list[TimeRange]:
    joined: list[TimeRange] = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _parse(row: Row[Any]) -> Aggregate:
    values = row._mapping
    return Aggregate(
        Counter({name: values[name] for name in SUMS}),
        Counter(dict(json.loads(values["times"]))),
        Counter({(code, words): attempts for code, words, attempts in json.loads(values["reasons"])}),
    )
