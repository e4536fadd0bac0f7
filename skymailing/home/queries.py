"""What the home page counts and lists."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from skymailing.extensions import cache, db
from skymailing.freshness import shared_cache
from skymailing.models import Client, Mailing, MailingState
from skymailing.shared_cache import CLIENTS

COUNT_KEY = "unique-clients"
COUNT_LIFETIME = 24 * 60 * 60  # seconds; its label tells when it is out of date
COUNTING_KEY = "unique-clients-counting"
COUNTING_SECONDS = 60  # after which a process that counts is given up
SLOW = 0.05  # seconds
SHOWN_FOR = 100  # times as long as a slow count took
LISTED = 5


@dataclass(frozen=True, slots=True)
class Totals:
    """The public counters, over all users."""

    mailings: int
    active: int
    clients: int  # distinct addresses


def count_totals(now: datetime) -> Totals:
    """Return the public counters."""
    mailings, active = db.session.execute(
        select(func.count(Mailing.id), func.count(Mailing.id).filter(is_active(now)))
    ).one()
    return Totals(mailings, active, count_unique_clients())


def count_unique_clients() -> int:
    """Return how many addresses there are; exact unless counting has become slow.

    A million addresses take a second. So a count that took long may be shown for a hundred times
    as long after it has changed, and only one process at a time counts anew.
    """
    shared = shared_cache()
    label = shared.label(CLIENTS)
    kept: dict[str, Any] | None = cache.get(COUNT_KEY) if label else None
    if kept and (kept["label"] == label or time.time() < kept["good_until"]):
        return int(kept["count"])
    if kept and not cache.add(COUNTING_KEY, 1, timeout=COUNTING_SECONDS):
        return int(kept["count"])
    started = time.monotonic()
    addresses = select(Client.email_key).distinct().subquery()
    count = db.session.scalar(select(func.count()).select_from(addresses)) or 0
    took = time.monotonic() - started
    if label:
        good_until = time.time() + (took * SHOWN_FOR if took > SLOW else 0)
        found = {"label": label, "count": count, "good_until": good_until}
        cache.set(COUNT_KEY, found, timeout=COUNT_LIFETIME)
        cache.delete(COUNTING_KEY)
    return count


def is_active(now: datetime) -> ColumnElement[bool]:
    """Return the condition for mailings that run, or are scheduled with their window open now."""
    in_window = and_(Mailing.starts_at <= now, Mailing.ends_at > now)
    return and_(
        Mailing.disabled_at.is_(None),
        or_(
            Mailing.state == MailingState.RUNNING,
            and_(Mailing.state == MailingState.SCHEDULED, in_window),
        ),
    )


def find_running(owner_id: int) -> Sequence[Mailing]:
    """Return the user's mailings that are under way or paused, the latest first."""
    statement = (
        select(Mailing)
        .where(Mailing.owner_id == owner_id, Mailing.state.in_((MailingState.RUNNING, MailingState.PAUSED)))
        .order_by(Mailing.id.desc())
    )
    return db.session.scalars(statement.limit(LISTED)).all()


def find_upcoming(owner_id: int) -> Sequence[Mailing]:
    """Return the user's scheduled mailings, the next first."""
    due = func.coalesce(Mailing.next_run_at, Mailing.starts_at)
    statement = (
        select(Mailing)
        .where(Mailing.owner_id == owner_id, Mailing.state == MailingState.SCHEDULED)
        .order_by(due, Mailing.id)
    )
    return db.session.scalars(statement.limit(LISTED)).all()
