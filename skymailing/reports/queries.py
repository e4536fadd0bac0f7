"""What reports read: the numbers that runs keep as they go, never attempts or deliveries."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    case,
    cast,
    extract,
    func,
    literal,
    select,
    text,
)

from skymailing.delivery.counts import OTHER_WORDS
from skymailing.extensions import db
from skymailing.models import Mailing, Outcome, RunAnswer, RunInterval, User
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
MAILING_ID = INTERVALS.c.mailing_id
# Of the letters sent, by when after their run's start, in per cent.
MEDIAN, P95 = 50, 95
Times = tuple[int | None, int | None]


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


def make_report(scope: Scope, period: Period, most_mailings: int | None = None) -> Report:
    """Return the report; of each mailing in the period, those with most letters first."""
    by_day = _figures(scope, period, _day_number(period))
    largest = select(MAILING_ID, *_sums()).order_by(func.sum(INTERVALS.c.planned).desc(), MAILING_ID.desc())
    by_mailing = _count(largest.limit(most_mailings), scope, period, MAILING_ID)
    ids = None if most_mailings is None else list(by_mailing)
    times = _times(MAILING_ID, scope, period, ids)
    names = dict(_names(list(by_mailing)))
    mailings = [
        (id, names[id], Figures(counts, *times.get(id, (None, None))))
        for id, counts in by_mailing.items()
        if id in names and any(counts.values())
    ]
    return Report(
        period,
        _total(by_day.values(), _times(literal(0, Integer), scope, period).get(0, (None, None))),
        find_reasons(scope, period),
        [(day, by_day.get(number, Figures())) for number, day in enumerate(period.days)],
        mailings,
    )


def _total(days: Iterable[Figures], times: Times) -> Figures:
    counts = {name: sum(figures.counts[name] for figures in days) for name in COLUMNS}
    return Figures(counts, *times)


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
    keys = (_day_number(period), MAILING_ID)
    statement = _in_period(select(*keys, *_sums()), scope, period)
    # By their places: PostgreSQL takes an expression with parameters for another one each time.
    rows = db.session.execute(statement.group_by(text("1, 2")).order_by(text("1, 2"))).all()
    names = dict(_names(sorted({row.mailing_id for row in rows})))
    for number, mailing_id, *counts in rows:
        told = dict(zip(COLUMNS, map(int, counts), strict=True))
        if any(told.values()) and mailing_id in names:
            yield period.days[number], mailing_id, names[mailing_id], told


def _figures(scope: Scope, period: Period, key: ColumnElement[int]) -> dict[int, Figures]:
    counts = _count(select(key, *_sums()), scope, period, text("1"))
    times = _times(key, scope, period)
    return {value: Figures(told, *times.get(value, (None, None))) for value, told in counts.items()}


def _count(statement: Select[Any], scope: Scope, period: Period, key: Any) -> dict[int, dict[str, int]]:
    """Return the sums that a statement asks for, by the key that stands before them."""
    rows = db.session.execute(_in_period(statement, scope, period).group_by(key))
    return {value: dict(zip(COLUMNS, map(int, sums), strict=True)) for value, *sums in rows}


def _times(
    key: ColumnElement[int], scope: Scope, period: Period, mailing_ids: list[int] | None = None
) -> dict[int, Times]:
    """Return by `key` when half and when 95 % of what was sent was accepted, to an interval's width."""
    sent = func.sum(INTERVALS.c.sent).label("sent")
    weights = _in_period(select(key.label("key"), INTERVALS.c.elapsed, sent), scope, period)
    if mailing_ids is not None:
        weights = weights.where(MAILING_ID.in_(mailing_ids))
    each = weights.where(INTERVALS.c.sent > 0).group_by(text("1, 2")).subquery()
    upto = func.sum(each.c.sent).over(partition_by=each.c.key, order_by=each.c.elapsed)
    whole = func.sum(each.c.sent).over(partition_by=each.c.key)
    ranked = select(each.c.key, each.c.elapsed, upto.label("upto"), whole.label("whole")).subquery()

    def reached(percent: int) -> ColumnElement[int]:
        enough = ranked.c.upto * 100 >= ranked.c.whole * percent
        return func.min(case((enough, ranked.c.elapsed)))

    statement = select(ranked.c.key, reached(MEDIAN), reached(P95)).group_by(ranked.c.key)
    return {value: (median, p95) for value, median, p95 in db.session.execute(statement)}


def _day_number(period: Period) -> ColumnElement[int]:
    """Return in which of the period's days, from 0, an interval lies: none crosses the end of one.

    Reckoned from stretches of days of one length, as no database can tell the days of every zone.
    """
    at = cast(extract("epoch", INTERVALS.c.begins_at), BigInteger)
    return case(
        *((at < end, first + (at - begin) // length) for first, begin, end, length in period.stretches)
    ).label("day")


def _in_period(statement: Select[Any], scope: Scope, period: Period) -> Select[Any]:
    begins_at: ColumnElement[datetime] = INTERVALS.c.begins_at
    return statement.where(scope.of(RunInterval), begins_at >= period.begins_at, begins_at < period.ends_at)


def _sums() -> list[ColumnElement[int]]:
    return [func.sum(INTERVALS.c[name]) for name in COLUMNS]


def _names(mailing_ids: list[int]) -> Iterator[tuple[int, str]]:
    for start in range(0, len(mailing_ids), 500):
        statement = select(Mailing.id, Mailing.name).where(Mailing.id.in_(mailing_ids[start : start + 500]))
        yield from db.session.execute(statement).tuples()
