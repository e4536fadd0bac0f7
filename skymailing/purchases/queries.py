"""Read purchases, and add up the sales of mailings. Orders with the amount 0 are refunds and do not count."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from skymailing.db.pagination import Order
from skymailing.db.text_search import is_sqlite
from skymailing.extensions import db
from skymailing.models import Client, Mailing, Purchase

ORDER: Order = [(Purchase.id, False)]


@dataclass(frozen=True)
class Revenue:
    """The orders in one currency, and their sum in its smallest unit."""

    currency: str
    orders: int
    amount: int


@dataclass(frozen=True)
class Sales:
    """Purchases after clicks on links of mailings: in total, and for each mailing."""

    totals: list[Revenue] = field(default_factory=list)
    mailings: list[tuple[int, str, list[Revenue]]] = field(default_factory=list)  # ID and name


def find_by_order(owner_id: int, order_number: str) -> Purchase | None:
    """Return the purchase with the shop's order number, locked until the transaction ends."""
    own = (Purchase.owner_id == owner_id) & (Purchase.order_number == order_number)
    statement = select(Purchase).where(own).with_for_update()
    return db.session.scalar(statement.execution_options(populate_existing=True))


def select_purchases(owner_id: int, **values: Any) -> Select[tuple[Purchase]]:
    """Return a query for the owner's purchases with these values."""
    return select(Purchase).where(Purchase.owner_id == owner_id).filter_by(**values)


def has_purchases(owner_id: int) -> bool:
    """Return whether the owner's shop has reported any purchase."""
    return db.session.scalar(select(Purchase.id).where(Purchase.owner_id == owner_id).limit(1)) is not None


def sum_of_client(client: Client) -> list[Revenue]:
    """Return the total of a client's purchases, including those without an earlier click."""
    return _sum(Purchase.client_id == client.id)


def sum_of_run(run_id: int) -> list[Revenue]:
    """Return the revenue from the recipients of a run."""
    return _sum(Purchase.run_id == run_id)


def sum_of_runs(run_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """Return the revenue from the recipients of runs, by run and currency."""
    columns = (Purchase.run_id, Purchase.currency)
    statement = select(*columns, add_amounts()).where(Purchase.run_id.in_(run_ids), Purchase.amount > 0)
    found: dict[int, dict[str, int]] = {}
    for run_id, currency, amount in db.session.execute(statement.group_by(*columns)).tuples():
        assert run_id is not None
        found.setdefault(run_id, {})[currency] = int(amount)
    return found


def add_amounts() -> ColumnElement[Any]:
    """Return the sum of the amounts. Above 64 bits, SQLite's `sum` fails; its `total` is only less exact."""
    return func.total(Purchase.amount) if is_sqlite() else func.sum(Purchase.amount)


def sum_up(conditions: Iterable[ColumnElement[bool]], most: int | None) -> Sales:
    """Return the sales of purchases that meet the conditions; list the mailings with the most orders."""
    orders = func.count()
    statement = (
        select(Purchase.mailing_id, Mailing.name, Purchase.currency, orders, add_amounts())
        .join(Mailing, Mailing.id == Purchase.mailing_id)
        .where(Purchase.amount > 0, *conditions)
        .group_by(Purchase.mailing_id, Mailing.name, Purchase.currency)
        .order_by(orders.desc(), Purchase.mailing_id.desc(), Purchase.currency)
    )
    by_mailing: dict[tuple[int, str], list[Revenue]] = {}
    by_currency: dict[str, Revenue] = {}
    for mailing_id, name, currency, count, amount in db.session.execute(statement).tuples():
        assert mailing_id is not None
        by_mailing.setdefault((mailing_id, name), []).append(Revenue(currency, count, int(amount)))
        before = by_currency.get(currency, Revenue(currency, 0, 0))
        by_currency[currency] = Revenue(currency, before.orders + count, before.amount + int(amount))
    totals = sorted(by_currency.values(), key=lambda revenue: (-revenue.orders, revenue.currency))
    return Sales(totals, [(id, name, sold) for (id, name), sold in list(by_mailing.items())[:most]])


def _sum(condition: ColumnElement[bool]) -> list[Revenue]:
    orders = func.count()
    statement = select(Purchase.currency, orders, add_amounts()).where(condition)
    statement = statement.where(Purchase.amount > 0).group_by(Purchase.currency)
    rows = db.session.execute(statement.order_by(orders.desc(), Purchase.currency)).tuples()
    return [Revenue(currency, count, int(amount)) for currency, count, amount in rows]
