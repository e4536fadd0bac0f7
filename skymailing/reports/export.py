"""Export reports for other programs: CSV by day and mailing, or all as JSON; times are in UTC."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from skymailing.models import REPORTED_COUNTS
from skymailing.reports.aggregates import Scope
from skymailing.reports.periods import Period
from skymailing.reports.queries import Figures, Report, list_days_of_mailings
from skymailing.reports.sales import (
    export_revenues,
    list_currencies,
    read_sales_by_day,
    write_cells,
)


def export_rows(scope: Scope, period: Period) -> Iterator[Sequence[Any]]:
    """Yield a header, then the counts of each mailing on each day, and its sales if there are any at all."""
    sales = read_sales_by_day(scope, period)
    currencies = list_currencies(sales)
    sold = ("orders", *(f"revenue_{currency}" for currency in currencies)) if currencies else ()
    yield ("day", "begins_at", "mailing_id", "mailing", *REPORTED_COUNTS, *sold, "tracked")
    starts = {
        day: (day.isoformat(), format_time(begins_at))
        for day, (begins_at, _ends_at) in zip(period.days, period.day_bounds, strict=True)
    }
    for row in list_days_of_mailings(scope, period, sales):
        cells = write_cells(row.sales, currencies)
        counts = (row.counts[name] for name in REPORTED_COUNTS)
        yield (*starts[row.day], row.mailing_id, row.name, *counts, *cells, row.counts["tracked"])


def export_report(report: Report) -> dict[str, Any]:
    """Return the report as values for JSON; days are in `timezone`."""
    period = report.period
    return {
        "since": period.since.isoformat(),
        "until": period.until.isoformat(),
        "timezone": period.zone.key,
        "begins_at": format_time(period.begins_at),
        "ends_at": format_time(period.ends_at),
        "totals": _export_figures(report.totals),
        "reasons": [
            {"code": reason.code, "words": reason.words, "attempts": reason.attempts}
            for reason in report.reasons
        ],
        "days": [
            {"day": day.isoformat(), "begins_at": format_time(Period(day, day, period.zone).begins_at)}
            | _export_figures(figures)
            for day, figures in report.days
        ],
        "mailings": [
            {"id": id, "name": name} | _export_figures(figures) for id, name, figures in report.mailings
        ],
        "sales": {
            "totals": export_revenues(report.sales.totals),
            "mailings": [
                {"id": id, "name": name, "revenues": export_revenues(revenues)}
                for id, name, revenues in report.sales.mailings
            ],
        },
    }


def _export_figures(figures: Figures) -> dict[str, Any]:
    ratio = figures.attempts_per_letter
    return figures.counts | {
        "attempts_per_letter": None if ratio is None else round(ratio, 3),
        "median_seconds": figures.median,
        "p95_seconds": figures.p95,
    }


def format_time(moment: datetime) -> str:
    """Return a time in UTC, such as 2026-11-22T10:00:00Z (ISO 8601)."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
