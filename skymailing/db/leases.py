"""Leases on rows that only one worker at a time may process: imports, bulk jobs and account letters.

Their tables have the columns `id` and `lease_until`. The end of a lease is also its token: a change
applies only while the row still has it. The functions use the transaction of `db.session`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, update

from skymailing.extensions import db

HINT_DELAY = timedelta(seconds=15)  # how long a hint may take before the sweep repeats it


def is_free(model: Any, now: datetime) -> ColumnElement[bool]:
    """Return the condition that the row has no lease, or that its lease has expired."""
    free: ColumnElement[bool] = model.lease_until.is_(None) | (model.lease_until < now)
    return free


def is_stalled(model: Any, now: datetime) -> ColumnElement[bool]:
    """Return the condition that an unfinished row has no worker: its hint was lost, or the worker died.

    The table also has the column `updated_at`.
    """
    stalled: ColumnElement[bool] = or_(
        model.lease_until < now, and_(model.lease_until.is_(None), model.updated_at < now - HINT_DELAY)
    )
    return stalled


def take_lease(
    model: Any, condition: ColumnElement[bool], until: datetime, **values: object
) -> Sequence[int]:
    """Lease the rows that meet `condition`, and set `values`; return their IDs."""
    return _update(model, condition, {"lease_until": until, **values})


def change_leased(model: Any, ids: Iterable[int], lease: datetime, **values: object) -> Sequence[int]:
    """Set `values` on the rows with these IDs whose lease still ends at `lease`; return their IDs."""
    return _update(model, model.id.in_(ids) & (model.lease_until == lease), values)


def _update(model: Any, condition: ColumnElement[bool], values: dict[str, object]) -> Sequence[int]:
    return db.session.scalars(
        update(model).where(condition).values(**values).returning(model.id),
        execution_options={"synchronize_session": False},
    ).all()
