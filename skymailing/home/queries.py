"""The counters and lists on the home page."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from skymailing.caching.backend import CLIENTS, MAILINGS
from skymailing.caching.invalidation import shared_cache
from skymailing.extensions import cache, db
from skymailing.models import Client, Mailing, MailingKind, MailingState, User

CLIENTS_KEY, CLIENTS_LIFETIME = "unique-clients", 24 * 60 * 60  # seconds
MAILINGS_KEY, MAILINGS_LIFETIME = "mailings", 10  # seconds; the number of active mailings depends on the time
COUNTING_SECONDS = 60  # after this time, another process may count
SLOW_SECONDS = 0.05
REUSE_FACTOR = 100  # a slow count is reused for this multiple of the time that it took
MAX_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Totals:
    """The public counters for all users together."""

    mailings: int
    active: int
    clients: int  # distinct addresses


def count_totals(now: datetime) -> Totals:
    """Return the public counters, exact unless counting is slow."""

    def count_mailings() -> list[int]:
        counts = select(func.count(Mailing.id), func.count(Mailing.id).filter(is_active(now)))
        counts = counts.where(Mailing.kind == MailingKind.MAILING)
        return list(db.session.execute(counts).one())

    mailings, active = get_cached_count(MAILINGS_KEY, MAILINGS, MAILINGS_LIFETIME, count_mailings)
    (clients,) = get_cached_count(CLIENTS_KEY, CLIENTS, CLIENTS_LIFETIME, count_unique_clients)
    return Totals(mailings, active, clients)


def count_unique_clients() -> list[int]:
    addresses = select(Client.email_key).distinct().subquery()
    return [db.session.scalar(select(func.count()).select_from(addresses)) or 0]


def get_cached_count(key: str, subject: str, lifetime: int, count: Callable[[], list[int]]) -> list[int]:
    """Return the result of `count`, cached for `lifetime` seconds or until the subject changes.

    Counting a million rows takes a second. A slow count is therefore reused for a hundred times as long as
    it took, even after a change, and only one process at a time counts again.
    """
    label = shared_cache().label(subject)
    cached: dict[str, Any] | None = cache.get(key) if label else None
    if cached and (cached["label"] == label or time.time() < cached["good_until"]):
        return list(cached["counts"])
    if cached and not cache.add(f"{key}-counting", 1, timeout=COUNTING_SECONDS):
        return list(cached["counts"])
    started = time.monotonic()
    counts = count()
    took = time.monotonic() - started
    if label:
        good_until = time.time() + (took * REUSE_FACTOR if took > SLOW_SECONDS else 0)
        cache.set(key, {"label": label, "counts": counts, "good_until": good_until}, timeout=lifetime)
        cache.delete(f"{key}-counting")
    return counts


def is_active(now: datetime) -> ColumnElement[bool]:
    """Return the condition for mailings that are running, or scheduled with a window that includes `now`.

    Mailings that a manager disabled, or whose owner is blocked, are not active.
    """
    blocked = select(User.id).where(User.blocked_at.is_not(None))
    in_window = and_(Mailing.starts_at <= now, Mailing.ends_at > now)
    return and_(
        Mailing.disabled_at.is_(None),
        Mailing.owner_id.not_in(blocked),
        or_(
            Mailing.state == MailingState.RUNNING,
            and_(Mailing.state == MailingState.SCHEDULED, in_window),
        ),
    )


def find_running(owner_id: int) -> Sequence[Mailing]:
    """Return the user's running and paused mailings, newest first."""
    statement = (
        select(Mailing)
        .where(Mailing.owner_id == owner_id, Mailing.kind == MailingKind.MAILING)
        .where(Mailing.state.in_((MailingState.RUNNING, MailingState.PAUSED)))
        .order_by(Mailing.id.desc())
    )
    return db.session.scalars(statement.limit(MAX_SHOWN)).all()


def find_upcoming(owner_id: int) -> Sequence[Mailing]:
    """Return the user's scheduled mailings, the next one first."""
    due = func.coalesce(Mailing.next_run_at, Mailing.starts_at)
    statement = (
        select(Mailing)
        .where(Mailing.owner_id == owner_id, Mailing.state == MailingState.SCHEDULED)
        .order_by(due, Mailing.id)
    )
    return db.session.scalars(statement.limit(MAX_SHOWN)).all()
