"""What reports read: the numbers that runs keep as they go, never attempts or deliveries."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    and_,
    case,
    column,
    func,
    literal,
    select,
    values,
)

from skymailing.delivery.counts import OTHER_WORDS
from skymailing.extensions import db
from skymailing.models import Mailing, Outcome, RunAnswer, RunInterval, User
from skymailing.models.types import UTCDateTime
from skymailing.reports.periods import Period

COLUMNS = (
    "planned",
    "sent",
    "failed",
    "unknown",
    "expired",
    "suppressed",
    "cancelled",
    "attempts",
)
REASONS_TOLD = 20
INTERVALS = RunInterval.__table__
# Of the letters sent, by when after their run's start, in per cent.
MEDIAN, P95 = 50, 95


@dataclass(frozen=True)
class Scope:
    """Whose letters are wanted: one mailing's, all of an owner's, or everybody's."""

    owner_id: int | None = None
    mailing_id: int | None = None

    def of(self, table: type[RunInterval] | type[RunAnswer]) -> ColumnElement[bool]:
        """Return the condition, by one column that has an index together with the time."""
        if self.mailing_id is not None:
            return table.mailing_id == self.mailing_id
        if self.owner_id is not None:
            return table.owner_id == self.owner_id
        return table.owner_id.in_(select(User.id))


@dataclass(frozen=True)
class Figures:
    """What happened in a stretch of time; `median` and `p95` are seconds from the run's start."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    median: int | None = None
    p95: int | None = None

    @property
    def attempts_per_letter(self) -> float | None:
        """Attempts for each letter that was sent, failed or stayed unclear."""
        letters = self.counts["sent"] + self.counts["failed"] + self.counts["unknown"]
        return self.counts["attempts"] / letters if letters else None

    @property
    def is_empty(self) -> bool:
        return not any(self.counts.values())


@dataclass(frozen=True)
class Reason:
    """Attempts of letters that failed, to which servers answered alike."""

    code: int | None
    words: str
    attempts: int


@dataclass(frozen=True)
class Report:
    """A period's figures: in all, day by day, and of each mailing."""

    period: Period
    totals: Figures
    reasons: list[Reason]
    days: list[tuple[date, Figures]]
    mailings: list[tuple[int, str, Figures]]


def make_report(scope: Scope, period: Period) -> Report:
    """Return the report; of each mailing in the period, those with most letters first."""
    by_day = _figures(scope, period, "day")
    (totals,) = _figures(scope, period, "all").values() or (Figures(),)
    by_mailing = _figures(scope, period, "mailing")
    names = dict(_names(list(by_mailing)))
    order = sorted(by_mailing, key=lambda id: (-by_mailing[id].counts["planned"], -id))
    return Report(
        period,
        totals,
        find_reasons(scope, period),
        [(day, by_day.get(number, Figures())) for number, day in enumerate(period.days)],
        [(id, names[id], by_mailing[id]) for id in order if not by_mailing[id].is_empty],
    )


def find_reasons(scope: Scope, period: Period) -> list[Reason]:
    """Return why letters failed, the most frequent answers first; rare ones together at the end."""
    attempts = func.sum(RunAnswer.attempts)
    statement = (
        select(RunAnswer.code, RunAnswer.words, attempts)
        .where(scope.of(RunAnswer), RunAnswer.outcome == Outcome.FAILED)
        .where(RunAnswer.begins_at >= period.begins_at, RunAnswer.begins_at < period.ends_at)
        .group_by(RunAnswer.code, RunAnswer.words)
        .order_by(attempts.desc(), RunAnswer.words)
    )
    reasons = [Reason(code, words, int(count)) for code, words, count in db.session.execute(statement)]
    rare = sum(reason.attempts for reason in reasons[REASONS_TOLD:])
    return reasons[:REASONS_TOLD] + ([Reason(None, OTHER_WORDS, rare)] if rare else [])


def days_of_mailings(scope: Scope, period: Period) -> Iterator[tuple[date, int, str, dict[str, int]]]:
    """Yield the counts of each mailing on each day on which something happened to it."""
    days = _days(period)
    keys = (days.c.number, INTERVALS.c.mailing_id)
    statement = _in_days(select(*keys, *_sums()), scope, period, days).group_by(*keys).order_by(*keys)
    rows = db.session.execute(statement).all()
    names = dict(_names(sorted({row.mailing_id for row in rows})))
    for number, mailing_id, *counts in rows:
        told = dict(zip(COLUMNS, map(int, counts), strict=True))
        if any(told.values()):
            yield period.days[number], mailing_id, names[mailing_id], told


def _figures(scope: Scope, period: Period, by: str) -> dict[int, Figures]:
    """Return the figures by number of the day, by mailing, or all of them under 0."""
    days = _days(period)
    key: ColumnElement[int] = {
        "day": days.c.number,
        "mailing": INTERVALS.c.mailing_id,
        "all": literal(0, Integer),
    }[by].label("key")
    counts = _in_days(select(key, *_sums()), scope, period, days).group_by(key)
    times = {row.key: (row.median, row.p95) for row in db.session.execute(_times(key, scope, period, days))}
    return {
        number: Figures(
            dict(zip(COLUMNS, map(int, sums), strict=True)),
            *times.get(number, (None, None)),
        )
        for number, *sums in db.session.execute(counts)
    }


def _times(key: ColumnElement[int], scope: Scope, period: Period, days: CTE) -> Select[Any]:
    """Select when half and when 95 % of what was sent was accepted, to an interval's width."""
    sent = func.sum(INTERVALS.c.sent).label("sent")
    weights = _in_days(select(key, INTERVALS.c.elapsed, sent), scope, period, days)
    each = weights.group_by(key, INTERVALS.c.elapsed).having(sent > 0).subquery()
    upto = func.sum(each.c.sent).over(partition_by=each.c.key, order_by=each.c.elapsed)
    whole = func.sum(each.c.sent).over(partition_by=each.c.key)
    ranked = select(each.c.key, each.c.elapsed, upto.label("upto"), whole.label("whole")).subquery()

    def reached(percent: int) -> ColumnElement[int]:
        enough = ranked.c.upto * 100 >= ranked.c.whole * percent
        return func.min(case((enough, ranked.c.elapsed)))

    return select(ranked.c.key, reached(MEDIAN).label("median"), reached(P95).label("p95")).group_by(
        ranked.c.key
    )


def _days(period: Period) -> CTE:
    """Return the period's days with their ends in UTC, which no database can tell for every zone."""
    ends = [Period(day, day, period.zone) for day in period.days]
    return (
        values(
            column("number", Integer),
            column("begins_at", UTCDateTime),
            column("ends_at", UTCDateTime),
            name="days",
        )
        .data([(number, day.begins_at, day.ends_at) for number, day in enumerate(ends)])
        .cte("days")
    )


def _in_days(statement: Select[Any], scope: Scope, period: Period, days: CTE) -> Select[Any]:
    """Join intervals with the days in which they lie: none crosses the end of one."""
    begins_at: ColumnElement[datetime] = INTERVALS.c.begins_at
    within = and_(begins_at >= days.c.begins_at, begins_at < days.c.ends_at)
    return (
        statement.select_from(days)
        .join(INTERVALS, within)
        .where(scope.of(RunInterval), begins_at >= period.begins_at, begins_at < period.ends_at)
    )


def _sums() -> list[ColumnElement[int]]:
    return [func.sum(INTERVALS.c[name]) for name in COLUMNS]


def _names(mailing_ids: list[int]) -> Iterator[tuple[int, str]]:
    for start in range(0, len(mailing_ids), 500):
        statement = select(Mailing.id, Mailing.name).where(Mailing.id.in_(mailing_ids[start : start + 500]))
        yield from db.session.execute(statement).tuples()
