"""Read deliveries and attempts as rows of plain columns, without objects: programs read millions of them."""

from functools import lru_cache
from typing import Any

from sqlalchemy import Select, String, bindparam, func, literal, select, type_coerce, union_all

from skymailing.db.pagination import Column, Order
from skymailing.extensions import db
from skymailing.models import Attempt, Delivery, DeliveryState, Mailing, Outcome, Run

DELIVERY_FIELDS = ("id", "run_id", "client_id", "email", "state", "attempts", "due_at", "finished_at")
ATTEMPT_FIELDS = ("id", "delivery_id", "run_id", "number", "at", "outcome", "code", "answer", "email")
DELIVERY_ORDER: Order = [(Delivery.id, False)]
ATTEMPT_ORDER: Order = [(Attempt.id, False)]


def _plain(column: Column) -> Any:
    """Return an enum column as text, as JSON needs it."""
    return type_coerce(column, String).label(column.key)


DELIVERY_COLUMNS = [
    _plain(Delivery.state) if name == "state" else getattr(Delivery, name) for name in DELIVERY_FIELDS
]
ATTEMPT_COLUMNS = [
    _plain(Attempt.outcome) if name == "outcome" else getattr(Attempt, name) for name in ATTEMPT_FIELDS[:-1]
]


def select_runs(mailing_id: int) -> Select[tuple[Run]]:
    """Return a statement for a mailing's runs."""
    return select(Run).where(Run.mailing_id == mailing_id)


def select_deliveries(run: Run, state: DeliveryState | None) -> Select[Any]:
    """Return a statement for a run's deliveries."""
    statement = select(*DELIVERY_COLUMNS)
    if state is not None:
        return statement.where(Delivery.run_id == run.id, Delivery.state == state)
    if run.mailing.is_transactional:  # its rows are among those of other runs
        return statement.where(Delivery.run_id == run.id)
    # A run's rows are inserted together, so a scan of the primary key from the first to the last finds them
    # in order. No index is on the run and then the ID; the sum prevents the use of other indexes on the run.
    first, last = find_bounds(run.id, run.uuid, run.planned)
    return statement.where(Delivery.run_id + 0 == run.id, Delivery.id.between(first, last))


def _select_bounds() -> Select[Any]:
    # SQLite finds a minimum or a maximum in an index, but not both in one SELECT.
    bounds = [
        select(find(Delivery.id).label("id")).where(
            Delivery.run_id == bindparam("run_id"), Delivery.state == literal(state, Delivery.state.type)
        )
        for state in DeliveryState
        for find in (func.min, func.max)
    ]
    each = union_all(*bounds).subquery()
    return select(func.min(each.c.id), func.max(each.c.id))


BOUNDS = _select_bounds()  # composed once, since that takes longer than executing it


@lru_cache(maxsize=1_000)
def find_bounds(run_id: int, _uuid: str, _planned: int) -> tuple[int, int]:
    """Return the first and the last ID of a run's deliveries, found in an index on state and ID.

    Once a run is planned, no deliveries are added to it, so the result can be cached.
    """
    first, last = db.session.execute(BOUNDS, {"run_id": run_id}).one()
    return (first, last) if first is not None else (1, 0)


def select_attempts(run_id: int, outcome: Outcome | None) -> Select[Any]:
    """Return a statement for a run's attempts."""
    statement = _attempts().where(Attempt.run_id == run_id)
    return statement if outcome is None else statement.where(Attempt.outcome == outcome)


def select_attempts_of(delivery_id: int) -> Select[Any]:
    """Return a statement for the attempts of one delivery."""
    return _attempts().where(Attempt.delivery_id == delivery_id)


def _attempts() -> Select[Any]:
    return select(*ATTEMPT_COLUMNS, Delivery.email).join(Delivery, Delivery.id == Attempt.delivery_id)


def find_delivery(owner_id: int, delivery_id: int) -> Any:
    """Return an owner's delivery as a row, or None."""
    own = select(literal(1)).where(
        Run.id == Delivery.run_id, Mailing.id == Run.mailing_id, Mailing.owner_id == owner_id
    )
    statement = select(*DELIVERY_COLUMNS).where(Delivery.id == delivery_id, own.exists())
    return db.session.execute(statement).first()
