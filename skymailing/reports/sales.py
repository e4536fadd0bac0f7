"""What mailings sold in the period of a report, by the time of the purchases."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, func, select, text

from skymailing.extensions import db
from skymailing.models import Purchase
from skymailing.purchases.queries import Revenue, Sales, add_amounts, sum_up
from skymailing.reports.aggregates import Scope, number_day
from skymailing.reports.periods import Period
from skymailing.web.money import format_amount

Key = tuple[int, int]  # the number of a day, and the ID of a mailing
SalesByDay = dict[Key, dict[str, Revenue]]  # by currency


def read_sales(scope: Scope, period: Period, max_mailings: int | None) -> Sales:
    """Return the sales of a period."""
    return sum_up(_list_conditions(scope, period), max_mailings)


def read_sales_by_day(scope: Scope, period: Period) -> SalesByDay:
    """Return the sales of each mailing on each day."""
    keys = (number_day(period, Purchase.purchased_at), Purchase.mailing_id, Purchase.currency)
    statement = select(*keys, func.count(), add_amounts())
    statement = statement.where(Purchase.amount > 0, *_list_conditions(scope, period))
    found: SalesByDay = {}
    # GROUP BY positions: PostgreSQL treats each use of an expression with parameters as a different one.
    for day, mailing_id, currency, orders, amount in db.session.execute(statement.group_by(text("1, 2, 3"))):
        found.setdefault((day, mailing_id), {})[currency] = Revenue(currency, orders, int(amount))
    return found


def list_currencies(sales: SalesByDay) -> list[str]:
    """Return the currencies of the sales, each of which has a column in the CSV file."""
    return sorted({currency for revenues in sales.values() for currency in revenues})


def write_cells(revenues: dict[str, Revenue], currencies: list[str]) -> Iterator[Any]:
    """Yield the number of orders, and the revenue in each currency; nothing if there are no currencies."""
    if currencies:
        yield sum(revenue.orders for revenue in revenues.values())
    for currency in currencies:
        yield format_amount(revenues[currency].amount if currency in revenues else 0, currency)


def export_revenues(revenues: list[Revenue]) -> list[dict[str, Any]]:
    """Return sales as values for JSON."""
    return [
        {
            "currency": revenue.currency,
            "orders": revenue.orders,
            "revenue": format_amount(revenue.amount, revenue.currency),
        }
        for revenue in revenues
    ]


def _list_conditions(scope: Scope, period: Period) -> list[ColumnElement[bool]]:
    at = Purchase.purchased_at
    conditions = [Purchase.mailing_id.is_not(None), at >= period.begins_at, at < period.ends_at]
    if scope.mailing_id is not None:
        conditions.append(Purchase.mailing_id == scope.mailing_id)
    elif scope.owner_id is not None:
        conditions.append(Purchase.owner_id == scope.owner_id)
    return conditions
