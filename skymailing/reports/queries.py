"""What reports read: the numbers that runs keep as they go, never attempts or deliveries."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Double, cast, func, select, text, union_all

from skymailing.delivery.ledger.statistics import OTHER_WORDS
from skymailing.extensions import db
from skymailing.models import REPORTED_COUNTS, Mailing, ReportDay, RunInterval
from skymailing.reports import rollup_queries
from skymailing.reports.aggregates import (
    MEDIAN,
    P95,
    Part,
    Scope,
    Tally,
    by_day,
    by_mailing,
    column_sums,
    read_tallies,
)
from skymailing.reports.periods import Period
from skymailing.reports.rollup_queries import Known

REASONS_TOLD = 20
NAMES_AT_A_TIME = 500  # of which a statement speaks one by one


@dataclass(frozen=True)
class Figures:
    """What happened in a stretch of time; `median` and `p95` are seconds from the run's start."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REPORTED_COUNTS, 0))
    median: int | None = None
    p95: int | None = None

    @classmethod
    def of(cls, tally: Tally) -> "Figures":
        """Return what is told of a tally."""
        counts = {name: tally.counts[name] for name in REPORTED_COUNTS}
        return cls(counts, tally.reached(MEDIAN), tally.reached(P95))

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
    mailing_count: int  # also of those that are not told


def make_report(scope: Scope, period: Period, most_mailings: int | None = None, name: str = "") -> Report:
    """Return the report; of each mailing in the period, those with most letters first."""
    known = rollup_queries.read_known(scope, period)
    others = Part(scope, known.others)
    days = known.days | read_tallies(db.session, others, by_day(period))
    total = Tally()
    for tally in days.values():
        total.add(tally)
    ids, count = _largest_mailings(scope, period, known, most_mailings, name)
    return Report(
        period,
        Figures.of(total),
        _reasons(total),
        [(day, Figures.of(days.get(number, Tally()))) for number, day in enumerate(period.days)],
        _read_mailings(scope, period, known, ids),
        count,
    )


def _reasons(total: Tally) -> list[Reason]:
    """Return why letters failed, the most frequent answers first; rare ones together at the end."""
    ordered = sorted(total.reasons.items(), key=lambda item: (-item[1], item[0][1], item[0][0] or 0))
    reasons = [Reason(code, words, count) for (code, words), count in ordered]
    rare = sum(reason.attempts for reason in reasons[REASONS_TOLD:])
    return reasons[:REASONS_TOLD] + ([Reason(None, OTHER_WORDS, rare)] if rare else [])


def _largest_mailings(
    scope: Scope, period: Period, known: Known, most: int | None, name: str
) -> tuple[list[int], int]:
    """Return the mailings with most letters planned in the period, and how many there are."""
    parts = []
    if known.days:
        summed = rollup_queries.of_mailings(scope, known.begins(period))
        parts.append(select(ReportDay.mailing_id, ReportDay.planned).where(summed))
    if known.others:
        counted = Part(scope, known.others).of(RunInterval)
        parts.append(select(RunInterval.mailing_id, RunInterval.planned).where(counted))
    each = union_all(*parts).subquery()
    # By floating point, which PostgreSQL adds up in a third of the time; exact up to 2 ** 53.
    planned = func.sum(cast(each.c.planned, Double))
    statement = select(each.c.mailing_id, func.count().over()).group_by(each.c.mailing_id)
    if name:
        called = select(Mailing.id).where(func.lower(Mailing.name).contains(name.lower(), autoescape=True))
        if scope.owner_id is not None:
            called = called.where(Mailing.owner_id == scope.owner_id)
        statement = statement.where(each.c.mailing_id.in_(called))
    rows = db.session.execute(statement.order_by(planned.desc(), each.c.mailing_id.desc()).limit(most)).all()
    return [row[0] for row in rows], rows[0][1] if rows else 0


def _read_mailings(
    scope: Scope, period: Period, known: Known, ids: list[int]
) -> list[tuple[int, str, Figures]]:
    wanted = ids if len(ids) <= NAMES_AT_A_TIME else None
    others = Part(scope, known.others, wanted)
    tallies = read_tallies(db.session, others, by_mailing, with_reasons=False)
    for id, tally in rollup_queries.read_mailings(scope, known.begins(period), wanted).items():
        tallies.setdefault(id, Tally()).add(tally)
    names = dict(_names(ids))
    return [(id, names[id], Figures.of(tallies[id])) for id in ids if id in names and id in tallies]


def days_of_mailings(scope: Scope, period: Period) -> Iterator[tuple[date, int, str, dict[str, int]]]:
    """Yield the counts of each mailing on each day on which something happened to it."""
    keys = (by_day(period)(RunInterval), RunInterval.mailing_id)
    part = Part(scope, [(period.begins_at, period.ends_at)])
    statement = select(*keys, *column_sums()).where(part.of(RunInterval))
    # By their places: PostgreSQL takes an expression with parameters for another one each time.
    rows = db.session.execute(statement.group_by(text("1, 2")).order_by(text("1, 2"))).all()
    names = dict(_names(sorted({row.mailing_id for row in rows})))
    for number, mailing_id, *counts in rows:
        told = dict(zip(REPORTED_COUNTS, map(int, counts), strict=True))
        if any(told.values()) and mailing_id in names:
            yield period.days[number], mailing_id, names[mailing_id], told


def _names(mailing_ids: list[int]) -> Iterator[tuple[int, str]]:
    for start in range(0, len(mailing_ids), NAMES_AT_A_TIME):
        statement = select(Mailing.id, Mailing.name).where(
            Mailing.id.in_(mailing_ids[start : start + NAMES_AT_A_TIME])
        )
        yield from db.session.execute(statement).tuples()
