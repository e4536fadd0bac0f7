"""Count the people who clicked in a run by the hour of their first click."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select

from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.extensions import db
from skymailing.mailings.click_variants import has_variant
from skymailing.models import Delivery, Engagement, Run
from skymailing.tracking.click_counts import to_milliseconds

SECONDS = 3.0
HOUR = 3_600_000  # milliseconds
HOURS_SHOWN = 48


@dataclass(frozen=True, slots=True)
class HourClicks:
    """The number of people who first clicked in an hour after the start; `is_last`: or later."""

    begins_at: datetime
    number: int  # of the hour, from 1
    people: int
    is_last: bool


def count_hours(run: Run, variant: int = 0) -> Sequence[HourClicks] | None:
    """Return the hours of a run, or of the letters of a variant, up to the last one with clicks.

    None if that takes too long.
    """
    since = Engagement.first_click_at - to_milliseconds(run.started_at)
    # Clocks can differ a little: count clicks before the start in the first hour.
    hour = case((since < 0, 0), (since >= HOUR * HOURS_SHOWN, HOURS_SHOWN), else_=since // HOUR)
    clicked = select(hour.label("hour")).where(Engagement.run_id == run.id, Engagement.clicks > 0)
    if variant:
        clicked = clicked.join(Delivery, Delivery.id == Engagement.delivery_id)
        clicked = clicked.where(has_variant(run, variant))
    # As a subquery, so that PostgreSQL recognizes the expression by which it groups.
    one = clicked.subquery()
    try:
        with limit_time(SECONDS):
            rows = db.session.execute(select(one.c.hour, func.count()).group_by(one.c.hour)).tuples()
            counted = dict(rows.all())
    except TookTooLong:
        return None
    return [
        HourClicks(run.started_at + timedelta(hours=n), n + 1, counted.get(n, 0), n == HOURS_SHOWN)
        for n in range(max(counted, default=-1) + 1)
    ]
