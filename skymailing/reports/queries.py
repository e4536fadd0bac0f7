"""Build reports from the counts that runs keep, never from attempts or deliveries."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from sqlalchemy import Double, cast, func, select, text, union_all

from skymailing.db.text_search import contains_text
from skymailing.delivery.ledger.run_counts import ELLIPSIS
from skymailing.extensions import db
from skymailing.mailings.outcomes import Outcomes
from skymailing.mailings.results import NOT_SENT, Results, sort_refusals, sum_up
from skymailing.models import Mailing, ReportDay, RunInterval
from skymailing.purchases.queries import Revenue, Sales
from skymailing.reports import rollup_queries
from skymailing.reports.aggregates import (
    MEDIAN,
    P95,
    SUMS,
    Aggregate,
    Scope,
    Selection,
    day_key,
    mailing_key,
    read_aggregates,
    select_sums,
)
from skymailing.reports.periods import Period
from skymailing.reports.rollup_queries import Rollups
from skymailing.reports.sales import SalesByDay, read_sales

MAX_REASONS = 20
IDS_PER_STATEMENT = 500


@dataclass(frozen=True)
class Figures:
    """The figures for a period, a day or a mailing; `median` and `p95` are seconds from a run's start."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SUMS, 0))
    median: int | None = None
    p95: int | None = None

    @classmethod
    def of(cls, aggregate: Aggregate) -> "Figures":
        """Return the figures of an aggregate."""
        counts = {name: aggregate.counts[name] for name in SUMS}
        return cls(counts, aggregate.percentile(MEDIAN), aggregate.percentile(P95))

    @property
    def attempts_per_letter(self) -> float | None:
        """Attempts per letter in the state sent, failed or unknown."""
        letters = self.counts["sent"] + self.counts["failed"] + self.counts["unknown"]
        return self.counts["attempts"] / letters if letters else None

    @property
    def outcomes(self) -> Outcomes:
        return Outcomes.of(self.counts)

    @property
    def not_sent(self) -> int:
        """Letters that no mail server accepted or refused for good."""
        return sum(self.counts[state.value] for state in NOT_SENT)

    @property
    def counts_clicks(self) -> bool:
        """Whether clicks were counted: in letters of this time, or in earlier ones."""
        return bool(self.counts["tracked"] or self.counts["clicked"])

    @property
    def is_empty(self) -> bool:
        return not any(self.counts.values())


def add_up(figures: Iterable[Figures]) -> Figures:
    """Return the counts of all figures together, without times."""
    total = Counter(dict.fromkeys(SUMS, 0))
    for one in figures:
        total.update(one.counts)
    return Figures(dict(total))


@dataclass(frozen=True)
class Reason:
    """Failed attempts with the same reply from the server."""

    code: int | None
    words: str
    attempts: int


@dataclass(frozen=True)
class Report:
    """The figures for a period: in total, by day and by mailing."""

    period: Period
    totals: Figures
    results: Results
    reasons: list[Reason]
    days: list[tuple[date, Figures]]
    mailings: list[tuple[int, str, Figures]]
    mailing_count: int  # including mailings that are not listed
    sales: Sales

    @property
    def active_days(self) -> list[date]:
        """The days with emails, the newest first."""
        return [day for day, figures in reversed(self.days) if not figures.is_empty]

    @property
    def active_mailings(self) -> list[tuple[int, str, Figures]]:
        """The listed mailings that have sent or planned emails."""
        return [row for row in self.mailings if not row[2].is_empty]


@dataclass(frozen=True)
class DayOfMailing:
    """The counts and the sales of a mailing on one day; sales are by currency."""

    day: date
    mailing_id: int
    name: str
    counts: dict[str, int]
    sales: dict[str, Revenue]


def make_report(scope: Scope, period: Period, max_mailings: int | None = None, name: str = "") -> Report:
    """Return the report; it lists only mailings whose name contains `name`, the largest first."""
    rollups = rollup_queries.read_rollups(scope, period)
    days, total = _read_days(scope, period, rollups)
    sales = read_sales(scope, period, max_mailings)
    ids, count = _find_largest_mailings(scope, period, rollups, max_mailings, name)
    return Report(
        period,
        Figures.of(total),
        replace(_sum_up(total), sales=sales.totals),
        _list_reasons(total),
        [(day, Figures.of(days.get(number, Aggregate()))) for number, day in enumerate(period.days)],
        _read_mailings(scope, period, rollups, ids),
        count,
        sales,
    )


def read_results(scope: Scope, period: Period) -> Results | None:
    """Return the results of a period without its days and mailings; None if nothing happened in it."""
    _days, total = _read_days(scope, period, rollup_queries.read_rollups(scope, period))
    results = replace(_sum_up(total), sales=read_sales(scope, period, 0).totals)
    return None if Figures.of(total).is_empty and not results.sales else results


def _read_days(scope: Scope, period: Period, rollups: Rollups) -> tuple[Mapping[int, Aggregate], Aggregate]:
    """Return what happened on each day, by its number, and in total."""
    uncovered = Selection(scope, rollups.uncovered)
    days = rollups.days | read_aggregates(db.session, uncovered, day_key(period))
    total = Aggregate()
    for aggregate in days.values():
        total.add(aggregate)
    return days, total


def _sum_up(total: Aggregate) -> Results:
    counts = {name: total.counts[name] for name in SUMS}
    return sum_up(
        counts, sort_refusals((words, count) for (_code, words), count in total.reasons.most_common())
    )


def _list_reasons(total: Aggregate) -> list[Reason]:
    """Return the reasons for failures, the most frequent first and the rare ones combined at the end."""
    ordered = sorted(total.reasons.items(), key=lambda item: (-item[1], item[0][1], item[0][0] or 0))
    reasons = [Reason(code, words, count) for (code, words), count in ordered]
    rare = sum(reason.attempts for reason in reasons[MAX_REASONS:])
    return reasons[:MAX_REASONS] + ([Reason(None, ELLIPSIS, rare)] if rare else [])


def _find_largest_mailings(
    scope: Scope, period: Period, rollups: Rollups, limit: int | None, name: str
) -> tuple[list[int], int]:
    """Return the IDs of the mailings with the most planned letters, and the number of all mailings."""
    parts = []
    if rollups.days:
        rolled_up = rollup_queries.single_mailing_condition(scope, rollups.list_starts(period))
        parts.append(select(ReportDay.mailing_id, ReportDay.planned).where(rolled_up))
    if rollups.uncovered:
        counted = Selection(scope, rollups.uncovered).condition(RunInterval)
        parts.append(select(RunInterval.mailing_id, RunInterval.planned).where(counted))
    each = union_all(*parts).subquery()
    # Sum floating-point numbers, for which PostgreSQL is three times as fast; exact up to 2 ** 53.
    planned = func.sum(cast(each.c.planned, Double))
    statement = select(each.c.mailing_id, func.count().over()).group_by(each.c.mailing_id)
    if name:
        named = select(Mailing.id).where(contains_text(Mailing.name, name))
        if scope.owner_id is not None:
            named = named.where(Mailing.owner_id == scope.owner_id)
        statement = statement.where(each.c.mailing_id.in_(named))
    rows = db.session.execute(statement.order_by(planned.desc(), each.c.mailing_id.desc()).limit(limit)).all()
    return [row[0] for row in rows], rows[0][1] if rows else 0


def _read_mailings(
    scope: Scope, period: Period, rollups: Rollups, ids: list[int]
) -> list[tuple[int, str, Figures]]:
    selected_ids = ids if len(ids) <= IDS_PER_STATEMENT else None
    uncovered = Selection(scope, rollups.uncovered, selected_ids)
    aggregates = read_aggregates(db.session, uncovered, mailing_key, with_reasons=False)
    rolled_up = rollup_queries.read_mailing_rollups(scope, rollups.list_starts(period), selected_ids)
    for id, aggregate in rolled_up.items():
        aggregates.setdefault(id, Aggregate()).add(aggregate)
    names = dict(_read_names(ids))
    return [(id, names[id], Figures.of(aggregates[id])) for id in ids if id in names and id in aggregates]


def list_days_of_mailings(scope: Scope, period: Period, sales: SalesByDay) -> Iterator[DayOfMailing]:
    """Yield each mailing for each day on which it has any counts or sales."""
    keys = (day_key(period)(RunInterval), RunInterval.mailing_id)
    selection = Selection(scope, [(period.begins_at, period.ends_at)])
    statement = select_sums(selection, *keys)
    # GROUP BY positions: PostgreSQL treats each use of an expression with parameters as a different one.
    counted = {
        (number, mailing_id): dict(zip(SUMS, map(int, sums), strict=True))
        for number, mailing_id, *sums in db.session.execute(statement.group_by(text("1, 2")))
    }
    keys_found = sorted({key for key, counts in counted.items() if any(counts.values())} | sales.keys())
    names = dict(_read_names(sorted({mailing_id for _number, mailing_id in keys_found})))
    nothing = dict.fromkeys(SUMS, 0)
    for key in keys_found:
        number, mailing_id = key
        if mailing_id in names:
            counts = counted.get(key, nothing)
            yield DayOfMailing(period.days[number], mailing_id, names[mailing_id], counts, sales.get(key, {}))


def _read_names(mailing_ids: list[int]) -> Iterator[tuple[int, str]]:
    for start in range(0, len(mailing_ids), IDS_PER_STATEMENT):
        statement = select(Mailing.id, Mailing.name).where(
            Mailing.id.in_(mailing_ids[start : start + IDS_PER_STATEMENT])
        )
        yield from db.session.execute(statement).tuples()
