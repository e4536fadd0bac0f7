"""Count the people who clicked in a run by the domain of their mailbox, and by the hour of a first click."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, Subquery, case, func, select

from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.extensions import db
from skymailing.mailings.click_variants import has_variant
from skymailing.models import Delivery, Engagement, Run
from skymailing.tracking.click_counts import to_milliseconds

SECONDS = 3.0  # for both statements together; longer ones are left out
DOMAINS_SHOWN = 10
HOUR = 3_600_000  # milliseconds
HOURS_SHOWN = 48


@dataclass(frozen=True, slots=True)
class DomainClicks:
    """People with a mailbox at a domain; without one, those at all other domains."""

    domain: str
    people: int


@dataclass(frozen=True, slots=True)
class HourClicks:
    """People whose first click was in an hour after the start; `is_last` includes all later ones."""

    begins_at: datetime
    number: int  # of the hour, from 1
    people: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Who clicked, by domain, and when."""

    domains: Sequence[DomainClicks] = ()
    hours: Sequence[HourClicks] = ()


def break_down(run: Run, variant: int = 0) -> Breakdown | None:
    """Return the people who clicked in a run, or in the letters of a variant, by domain and by hour.

    None if that takes too long.
    """
    try:
        with limit_time(SECONDS):
            return Breakdown(_count_domains(run, variant), _count_hours(run, variant))
    except TookTooLong:
        return None


def _select_clicked(run: Run, variant: int, value: ColumnElement[Any]) -> Subquery:
    """Select a value of each letter in which a person clicked.

    As a subquery, so that PostgreSQL recognizes the expression by which it groups.
    """
    clicked = select(value).select_from(Engagement).where(Engagement.run_id == run.id, Engagement.clicks > 0)
    clicked = clicked.join(Delivery, Delivery.id == Engagement.delivery_id)
    return (clicked.where(has_variant(run, variant)) if variant else clicked).subquery()


def _count_domains(run: Run, variant: int) -> list[DomainClicks]:
    clicked = _select_clicked(run, variant, _domain_of().label("domain"))
    rows = select(clicked.c.domain, func.count()).group_by(clicked.c.domain)
    counted = sorted(db.session.execute(rows).tuples(), key=lambda row: (-row[1], row[0]))
    shown = [DomainClicks(*row) for row in counted[:DOMAINS_SHOWN]]
    others = sum(people for _domain, people in counted[DOMAINS_SHOWN:])
    return [*shown, DomainClicks("", others)] if others else shown


def _domain_of() -> ColumnElement[str]:
    if db.engine.dialect.name == "sqlite":
        return func.substr(Delivery.email_key, func.instr(Delivery.email_key, "@") + 1, type_=String)
    return func.split_part(Delivery.email_key, "@", 2, type_=String)


def _count_hours(run: Run, variant: int) -> list[HourClicks]:
    """Count first clicks by the hour, up to the last hour that has any."""
    since = Engagement.first_click_at - to_milliseconds(run.started_at)
    # Clocks can differ a little: nothing is before the start.
    hour = case((since < 0, 0), (since >= HOUR * HOURS_SHOWN, HOURS_SHOWN), else_=since // HOUR)
    clicked = _select_clicked(run, variant, hour.label("hour"))
    rows = select(clicked.c.hour, func.count()).group_by(clicked.c.hour)
    counted = dict(db.session.execute(rows).tuples().all())
    return [
        HourClicks(run.started_at + timedelta(hours=n), n + 1, counted.get(n, 0), n == HOURS_SHOWN)
        for n in range(max(counted, default=-1) + 1)
    ]
