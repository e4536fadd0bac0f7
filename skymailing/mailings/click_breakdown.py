"""Count the people who clicked in a run, by mailbox domain and by the hour of their first click."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, String, case, func, select

from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.extensions import db
from skymailing.models import Delivery, Engagement, Run
from skymailing.tracking.click_counts import to_milliseconds

SECONDS = 3.0  # for both statements together; if they take longer, the breakdown is not shown
DOMAINS_SHOWN = 10
HOUR = 3_600_000  # milliseconds
HOURS_SHOWN = 48


@dataclass(frozen=True, slots=True)
class DomainClicks:
    """The number of people with a mailbox at a domain; an empty domain stands for all others."""

    domain: str
    people: int


@dataclass(frozen=True, slots=True)
class HourClicks:
    """The number of people who first clicked in an hour after the start; `is_last`: or later."""

    begins_at: datetime
    number: int  # of the hour, from 1
    people: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The people who clicked, by domain and by hour."""

    domains: Sequence[DomainClicks] = ()
    hours: Sequence[HourClicks] = ()


def break_down(run: Run) -> Breakdown | None:
    """Return the people who clicked in a run by domain and by hour; None if that takes too long."""
    try:
        with limit_time(SECONDS):
            return Breakdown(_count_domains(run.id), _count_hours(run))
    except TookTooLong:
        return None


def _count_domains(run_id: int) -> list[DomainClicks]:
    clicked = (
        select(_extract_domain().label("domain"))
        .select_from(Engagement)
        .join(Delivery, Delivery.id == Engagement.delivery_id)
        .where(Engagement.run_id == run_id, Engagement.clicks > 0)
        .subquery()  # otherwise PostgreSQL does not recognize the expression in GROUP BY
    )
    rows = select(clicked.c.domain, func.count()).group_by(clicked.c.domain)
    counted = sorted(db.session.execute(rows).tuples(), key=lambda row: (-row[1], row[0]))
    shown = [DomainClicks(*row) for row in counted[:DOMAINS_SHOWN]]
    others = sum(people for _domain, people in counted[DOMAINS_SHOWN:])
    return [*shown, DomainClicks("", others)] if others else shown


def _extract_domain() -> ColumnElement[str]:
    if db.engine.dialect.name == "sqlite":
        return func.substr(Delivery.email_key, func.instr(Delivery.email_key, "@") + 1, type_=String)
    return func.split_part(Delivery.email_key, "@", 2, type_=String)


def _count_hours(run: Run) -> list[HourClicks]:
    """Count first clicks by the hour, up to the last hour that has any."""
    since = Engagement.first_click_at - to_milliseconds(run.started_at)
    # Clocks can differ a little: count clicks before the start in the first hour.
    hour = case((since < 0, 0), (since >= HOUR * HOURS_SHOWN, HOURS_SHOWN), else_=since // HOUR)
    is_own = (Engagement.run_id == run.id) & (Engagement.clicks > 0)
    clicked = select(hour.label("hour")).where(is_own).subquery()
    rows = select(clicked.c.hour, func.count()).group_by(clicked.c.hour)
    counted = dict(db.session.execute(rows).tuples().all())
    return [
        HourClicks(run.started_at + timedelta(hours=n), n + 1, counted.get(n, 0), n == HOURS_SHOWN)
        for n in range(max(counted, default=-1) + 1)
    ]
