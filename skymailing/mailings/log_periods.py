"""Find where the attempts of a period are, so that the log does not read all newer ones."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select

from skymailing.db.engine import is_in
from skymailing.extensions import db
from skymailing.models import Attempt, Run, RunInterval

MAX_INTERVAL = timedelta(minutes=15)  # the length of the longest interval
MAX_RUNS = 2_000
IdRange = tuple[int, int]  # both included
EMPTY: IdRange = (1, 0)


def find_id_range(
    scope: ColumnElement[bool], since: datetime | None, until: datetime | None
) -> IdRange | None:
    """Return a range that contains the IDs of all attempts in a period; None if finding it would take long.

    `scope` is a condition on the intervals of runs, which show the runs that had attempts in the period.
    """
    active = select(RunInterval.run_id).where(scope, RunInterval.attempts > 0).distinct()
    if since is not None:
        active = active.where(RunInterval.begins_at > since - MAX_INTERVAL)
    if until is not None:
        active = active.where(RunInterval.begins_at < until)
    run_ids = db.session.scalars(active.limit(MAX_RUNS + 1)).all()
    return find_range_of_runs(run_ids) if len(run_ids) <= MAX_RUNS else None


def find_range_of_runs(run_ids: Sequence[int]) -> IdRange:
    """Return a range that contains the IDs of these runs' attempts."""
    ends = (
        select(function(Attempt.id)).where(Attempt.run_id == Run.id).scalar_subquery()
        for function in (func.min, func.max)
    )
    # Each run's ends come from an index; those of all runs together would not.
    runs = select(*(end.label(name) for end, name in zip(ends, ("first", "last"), strict=True)))
    each = runs.where(is_in(Run.id, run_ids)).subquery()
    first, last = db.session.execute(select(func.min(each.c.first), func.max(each.c.last))).one()
    return EMPTY if first is None else (first, last)
