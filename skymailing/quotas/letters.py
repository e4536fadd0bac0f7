"""Limit the letters that a user's mailings may send in an hour and in a day.

A letter is counted when a worker claims it, and subtracted again if it remains pending. So several
workers together cannot exceed a limit, and a crash leaves nothing uncounted. Letters beyond a limit
remain pending. Account letters are not limited here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, or_, select, true

from skymailing.models import UsageKind, User
from skymailing.quotas import counting
from skymailing.settings.quotas import quota_settings

HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True)
class LetterLimit:
    """At most `count` letters in the last `hours` hours; some limits apply only to new accounts."""

    hours: int
    count: int
    is_for_new: bool = False


@dataclass(frozen=True, slots=True)
class ReachedLimit:
    """A limit that a user has reached, and when more letters can be sent."""

    limit: LetterLimit
    frees_at: datetime


def list_limits() -> list[LetterLimit]:
    """Return the limits that are set."""
    settings = quota_settings()
    limits = (
        LetterLimit(1, settings.letters_per_hour),
        LetterLimit(HOURS_PER_DAY, settings.letters_per_day),
        LetterLimit(HOURS_PER_DAY, settings.new_account_letters_per_day, is_for_new=True),
    )
    return [limit for limit in limits if limit.count]


def is_new_account(now: datetime) -> ColumnElement[bool]:
    """Return the condition that the user is subject to the limits for new accounts."""
    return and_(
        User.trusted_at.is_(None),
        or_(User.confirmed_at.is_(None), User.confirmed_at > _get_new_account_start(now)),
    )


def is_new(user: User, now: datetime) -> bool:
    """Return whether the user is subject to the limits for new accounts."""
    ends_at = get_new_account_end(user)
    return user.trusted_at is None and (ends_at is None or ends_at > now)


def get_new_account_end(user: User) -> datetime | None:
    """Return when the account automatically stops being new; None if its address is not confirmed."""
    days = timedelta(days=quota_settings().new_account_days)
    return user.confirmed_at + days if user.confirmed_at else None


def _get_new_account_start(now: datetime) -> datetime:
    return now - timedelta(days=quota_settings().new_account_days)


def has_room(now: datetime) -> ColumnElement[bool]:
    """Return the condition that the owner, joined as User, has not reached any limit."""
    conditions: list[ColumnElement[bool]] = [true()]
    for limit in list_limits():
        is_below = counting.total(User.__table__.c.id, UsageKind.LETTERS, limit.hours, now) < limit.count
        conditions.append(or_(~is_new_account(now), is_below) if limit.is_for_new else is_below)
    return and_(*conditions)


def list_limits_of(is_new: bool) -> list[LetterLimit]:
    """Return the limits that are set and apply to an owner."""
    return [limit for limit in list_limits() if is_new or not limit.is_for_new]


def count(connection: Connection, owner_id: int, letters: int, now: datetime) -> None:
    """Count letters of the owner; locks the owner's count until the commit."""
    if letters:
        counting.add(connection, owner_id, UsageKind.LETTERS, letters, now)


def reserve(connection: Connection, owner_id: int, wanted: int, is_new: bool, now: datetime) -> int:
    """Count up to `wanted` letters of the owner, as many as the limits allow; return how many.

    Locks the owner's count, so that no other worker uses the same allowance.
    """
    count(connection, owner_id, wanted, now)
    limits = list_limits_of(is_new)
    if not limits or not wanted:
        return wanted
    totals = [counting.total(owner_id, UsageKind.LETTERS, limit.hours, now) for limit in limits]
    row = connection.execute(select(*totals)).one()
    excess: int = max(used - limit.count for used, limit in zip(row, limits, strict=True))
    refused = min(max(excess, 0), wanted)
    if refused:
        release(connection, owner_id, refused, now)
    return wanted - refused


def release(connection: Connection, owner_id: int, count: int, now: datetime) -> None:
    """Subtract letters that were claimed but remain pending from the owner's count."""
    if count:
        counting.subtract(connection, owner_id, UsageKind.LETTERS, count, now)


def find_reached(user: User, now: datetime) -> ReachedLimit | None:
    """Return the limit that stops the user's letters for the longest time; None if none does."""
    reached = []
    for limit in list_limits():
        if limit.is_for_new and not is_new(user, now):
            continue
        counts = counting.read_hours(user.id, UsageKind.LETTERS, limit.hours, now)
        used = sum(counts.values())
        if used < limit.count:
            continue
        for begins_at, count in counts.items():
            used -= count
            if used < limit.count:
                reached.append(ReachedLimit(limit, _find_end(user, limit, begins_at)))
                break
    return max(reached, key=lambda item: item.frees_at, default=None)


def _find_end(user: User, limit: LetterLimit, begins_at: datetime) -> datetime:
    """Return the time when the hour is no longer counted, or the account is no longer new."""
    ends_at = begins_at + limit.hours * counting.HOUR
    no_longer_new = get_new_account_end(user)
    return min(ends_at, no_longer_new) if limit.is_for_new and no_longer_new else ends_at
