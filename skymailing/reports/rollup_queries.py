"""Days that `adding_up` has added up: which of them hold, and what they say."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, literal, literal_column, select

from skymailing.extensions import db
from skymailing.models import REPORTED_COUNTS, ReportDay, RunInterval
from skymailing.reports.aggregates import Scope, Stretch, Tally, by_day
from skymailing.reports.periods import Period

ALL = 0  # stands for all mailings
# In the index's own words: SQLite would not see that "is_fresh = 1" is the same.
IS_FRESH: ColumnElement[bool] = literal_column("run_intervals.is_fresh")


@dataclass(frozen=True)
class Known:
    """The days of a period whose sums hold, by their number, and stretches in which there may be more."""

    days: dict[int, Tally]
    others: list[Stretch]

    def begins(self, period: Period) -> list[datetime]:
        """Return when the days begin whose sums hold."""
        return [period.bounds[number][0] for number in self.days]


def read_known(scope: Scope, period: Period) -> Known:
    """Return the sums that hold, and what has to be read interval by interval.

    Both are asked in one statement, and so of one moment.
    """
    if scope.owner_id is None:
        return Known({}, [(period.begins_at, period.ends_at)])
    wanted = {ALL} if scope.mailing_id is None else {ALL, scope.mailing_id}
    sums = select(*_columns()).where(
        ReportDay.owner_id == scope.owner_id,
        ReportDay.mailing_id.in_(wanted),
        ReportDay.begins_at < period.ends_at,
        ReportDay.ends_at > period.begins_at,
    )
    fresh_days, days = set(), []
    for row in db.session.execute(sums.union_all(_fresh_days(scope.owner_id, period))):
        if row.is_fresh:
            fresh_days.add(row.begins_at)
        else:
            days.append(row)
    numbers = {bounds: number for number, bounds in enumerate(period.bounds)}
    if any((row.begins_at, row.ends_at) not in numbers for row in days):
        # Added up on another clock than this report's.
        return Known({}, [(period.begins_at, period.ends_at)])
    found: dict[int, Tally] = {}
    others = []
    for (begins_at, ends_at), number in numbers.items():
        if any(begins_at <= at < ends_at for at in fresh_days):
            others.append((begins_at, ends_at))
        else:
            found[number] = Tally()
    for row in days:
        number = numbers[row.begins_at, row.ends_at]
        if number in found and row.mailing_id == (scope.mailing_id or ALL):
            found[number] = _read(row)
    return Known(found, _joined(others))


def read_mailings(
    scope: Scope, begins: Iterable[datetime], mailing_ids: list[int] | None
) -> dict[int, Tally]:
    """Return each mailing's sums over the days that begin then."""
    statement = select(*_columns()).where(of_mailings(scope, begins))
    if mailing_ids is not None:
        statement = statement.where(ReportDay.mailing_id.in_(mailing_ids))
    found: dict[int, Tally] = {}
    for row in db.session.execute(statement):
        found.setdefault(row.mailing_id, Tally()).add(_read(row))
    return found


def of_mailings(scope: Scope, begins: Iterable[datetime]) -> ColumnElement[bool]:
    """Return the condition for sums of single mailings on the days that begin then."""
    is_one = ReportDay.mailing_id == scope.mailing_id if scope.mailing_id else ReportDay.mailing_id > ALL
    return (ReportDay.owner_id == scope.owner_id) & is_one & ReportDay.begins_at.in_(list(begins))


def _columns() -> list[Any]:
    table = ReportDay.__table__.c
    plain = [
        table[name] for name in ("begins_at", "ends_at", "mailing_id", *REPORTED_COUNTS, "times", "reasons")
    ]
    return [*plain, literal(0).label("is_fresh")]


def _fresh_days(owner_id: int, period: Period) -> Select[Any]:
    """Select a moment of each day that has fresh intervals, in the columns of the sums."""
    at = func.min(RunInterval.begins_at)
    nothing = [literal(0) for _name in ("mailing_id", *REPORTED_COUNTS)]
    statement = select(at, at, *nothing, literal(""), literal(""), literal(1)).where(
        IS_FRESH,
        RunInterval.owner_id == owner_id,
        RunInterval.begins_at >= period.begins_at,
        RunInterval.begins_at < period.ends_at,
    )
    return statement.group_by(by_day(period)(RunInterval))


def _joined(stretches: list[Stretch]) -> list[Stretch]:
    found: list[Stretch] = []
    for begin, end in stretches:
        if found and found[-1][1] == begin:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def _read(row: Row[Any]) -> Tally:
    values = row._mapping
    return Tally(
        Counter({name: values[name] for name in REPORTED_COUNTS}),
        Counter(dict(json.loads(values["times"]))),
        Counter({(code, words): attempts for code, words, attempts in json.loads(values["reasons"])}),
    )
