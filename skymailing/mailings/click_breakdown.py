"""Count the people who clicked in a run by the domain of their mailbox, by hour, and by segment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, Subquery, case, func, select

from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.audience.memberships import has_tag
from skymailing.delivery.audience.segments import compile_segment
from skymailing.extensions import db
from skymailing.mailings.click_variants import has_variant
from skymailing.models import Client, Delivery, Engagement, Run, Tag, User
from skymailing.tracking.click_counts import to_milliseconds

SECONDS = 3.0  # for all statements together; slower ones are skipped
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
class PartClicks:
    """People who are now in a segment or have a tag that the run was for."""

    name: str
    people: int


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Who clicked, by domain, when, and by the segments and tags of the run's audience."""

    domains: Sequence[DomainClicks] = ()
    hours: Sequence[HourClicks] = ()
    parts: Sequence[PartClicks] = ()


def break_down(run: Run, now: datetime, variant: int = 0) -> Breakdown | None:
    """Return the people who clicked in a run, or in the letters of a variant; None if that takes too long."""
    try:
        with limit_time(SECONDS):
            domains, hours = _count_domains(run, variant), _count_hours(run, variant)
            return Breakdown(domains, hours, _count_parts(run, variant, now))
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
    clicked = _select_clicked(run, variant, _extract_domain().label("domain"))
    rows = select(clicked.c.domain, func.count()).group_by(clicked.c.domain)
    counted = sorted(db.session.execute(rows).tuples(), key=lambda row: (-row[1], row[0]))
    shown = [DomainClicks(*row) for row in counted[:DOMAINS_SHOWN]]
    others = sum(people for _domain, people in counted[DOMAINS_SHOWN:])
    return [*shown, DomainClicks("", others)] if others else shown


def _count_parts(run: Run, variant: int, now: datetime) -> list[PartClicks]:
    """Count in each segment and tag that the run was for; nothing for those that no longer work."""
    people = select(func.count()).select_from(Engagement)
    people = people.join(Delivery, Delivery.id == Engagement.delivery_id)
    people = people.join(Client, Client.id == Delivery.client_id)
    people = people.where(Engagement.run_id == run.id, Engagement.clicks > 0)
    if variant:
        people = people.where(has_variant(run, variant))
    counted = []
    for part in (run.audience or {}).get("include", ()):
        condition = _read_part(part, run.mailing.owner, now)
        if condition is not None:
            count = db.session.scalar(people.where(Client.owner_id == run.mailing.owner_id, condition)) or 0
            counted.append(PartClicks(part["name"], count))
    return counted


def _read_part(part: Mapping[str, Any], owner: User, now: datetime) -> ColumnElement[bool] | None:
    """Return the condition on clients of a segment, as it was, or of a tag."""
    if "tag" in part:
        # SQLite gives the ID of a deleted tag to another one.
        own = select(Tag.id).where(Tag.id == part["tag"], Tag.owner_id == owner.id, Tag.name == part["name"])
        found = db.session.scalar(own)
        return None if found is None else has_tag(found, db.engine.dialect.name)
    try:
        return compile_segment(part["conditions"], owner, now)
    except InvalidConditions:
        return None


def _extract_domain() -> ColumnElement[str]:
    if db.engine.dialect.name == "sqlite":
        return func.substr(Delivery.email_key, func.instr(Delivery.email_key, "@") + 1, type_=String)
    return func.split_part(Delivery.email_key, "@", 2, type_=String)


def _count_hours(run: Run, variant: int) -> list[HourClicks]:
    """Count first clicks by the hour, up to the last hour that has any."""
    since = Engagement.first_click_at - to_milliseconds(run.started_at)
    # Clocks can differ a little: count clicks before the start in the first hour.
    hour = case((since < 0, 0), (since >= HOUR * HOURS_SHOWN, HOURS_SHOWN), else_=since // HOUR)
    clicked = _select_clicked(run, variant, hour.label("hour"))
    rows = select(clicked.c.hour, func.count()).group_by(clicked.c.hour)
    counted = dict(db.session.execute(rows).tuples().all())
    return [
        HourClicks(run.started_at + timedelta(hours=n), n + 1, counted.get(n, 0), n == HOURS_SHOWN)
        for n in range(max(counted, default=-1) + 1)
    ]
