"""Find the users whose sending a manager should look at, and why.

To add a reason: a member of `Suspicion`, its condition in `judge`, its words in `words.py`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select

from skymailing.delivery.reputation import MIN_BOUNCES, MIN_COMPLAINTS, MIN_LETTERS
from skymailing.extensions import db
from skymailing.manager.owner_usage import OwnerUsage, measure_owners
from skymailing.models import Reputation, User
from skymailing.quotas import letters
from skymailing.settings.quotas import quota_settings

NEW_ACCOUNT = timedelta(days=7)
MANY_FROM_NEW = 300  # letters in the first days
BOUNCES_FROM_NEW = 5
PERCENT_FROM_NEW = 2.0
# Lower than the shares that pause mailings, so that managers see it coming.
BOUNCE_PERCENT = 2.5
COMPLAINT_PERCENT = 0.1  # providers recommend less
MANY_QUESTIONS = 5


class Suspicion(StrEnum):
    """A reason to look at a user."""

    PAUSED = "paused"  # bounces or complaints have paused the mailings
    COMPLAINTS = "complaints"
    BOUNCES = "bounces"
    NEW = "new"  # a new account with many letters or bounces
    QUESTIONS = "questions"  # letters to addresses that have not agreed to anything
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A user with the reasons to look at them, the weightiest first."""

    user: User
    usage: OwnerUsage
    reasons: list[Suspicion]


def find_suspects(now: datetime, usages: dict[int, OwnerUsage] | None = None) -> list[Suspect]:
    """Return the users with a reason, those with the weightiest first; blocked ones are dealt with."""
    usages = measure_owners(now) if usages is None else usages
    paused = set(db.session.scalars(select(Reputation.owner_id).where(Reputation.paused_at.is_not(None))))
    active = select(User).where(User.id.in_([*usages.keys() | paused]), User.blocked_at.is_(None))
    suspects = []
    for user in db.session.scalars(active):
        usage = usages.get(user.id) or OwnerUsage(user.id)
        if reasons := judge(user, usage, user.id in paused, now):
            suspects.append(Suspect(user, usage, reasons))
    order = list(Suspicion)
    return sorted(
        suspects,
        key=lambda suspect: (
            order.index(suspect.reasons[0]),
            -len(suspect.reasons),
            -suspect.usage.letters,
            suspect.user.id,
        ),
    )


def judge(user: User, usage: OwnerUsage, is_paused: bool, now: datetime) -> list[Suspicion]:
    """Return the reasons to look at a user, the weightiest first."""
    is_rated = usage.letters >= MIN_LETTERS
    found = {
        Suspicion.PAUSED: is_paused,
        Suspicion.COMPLAINTS: is_rated
        and usage.complaints >= MIN_COMPLAINTS
        and exceeds(usage.complaints, usage, COMPLAINT_PERCENT),
        Suspicion.BOUNCES: is_rated
        and usage.bounces >= MIN_BOUNCES
        and exceeds(usage.bounces, usage, BOUNCE_PERCENT),
        Suspicion.NEW: _is_new_and_busy(user, usage, now),
        Suspicion.QUESTIONS: usage.questions >= MANY_QUESTIONS,
        Suspicion.LIMIT: _has_reached_limit(user, usage, now),
    }
    return [reason for reason in Suspicion if found[reason]]


def exceeds(count: int, usage: OwnerUsage, percent: float) -> bool:
    """Return whether a count is more than this share of the user's letters."""
    return count * 100 > usage.letters * percent


def find_unusual(reasons: Collection[Suspicion], percent: float | None, now: datetime) -> set[int] | None:
    """Return the IDs of the users with any of these reasons, and a share of bounces above `percent`.

    None if neither is given, so that all users match.
    """
    if not reasons and percent is None:
        return None
    usages = measure_owners(now)
    found = set(usages)
    if reasons:
        found = {
            suspect.user.id for suspect in find_suspects(now, usages) if set(suspect.reasons) & set(reasons)
        }
    if percent is not None:
        found &= {
            usage.owner_id
            for usage in usages.values()
            if usage.letters >= MIN_LETTERS and exceeds(usage.bounces, usage, percent)
        }
    return found


def is_paused(owner_id: int) -> bool:
    """Return whether bounces or complaints have paused the user's mailings."""
    reputation = db.session.get(Reputation, owner_id)
    return reputation is not None and reputation.paused_at is not None


def find_new_since(now: datetime) -> datetime:
    """Return since when an account must have been registered to be new."""
    return now - NEW_ACCOUNT


def _is_new_and_busy(user: User, usage: OwnerUsage, now: datetime) -> bool:
    if user.trusted_at is not None or user.created_at <= find_new_since(now):
        return False
    is_bouncing = usage.bounces >= BOUNCES_FROM_NEW and exceeds(usage.bounces, usage, PERCENT_FROM_NEW)
    return usage.letters >= MANY_FROM_NEW or is_bouncing


def _has_reached_limit(user: User, usage: OwnerUsage, now: datetime) -> bool:
    """Return whether a limit that frees up with time holds the user back now."""
    settings = quota_settings()
    used = {1: usage.letters_this_hour, letters.HOURS_PER_DAY: usage.letters_today}
    is_new = letters.is_new(user, now)
    counts = [
        (used[limit.hours], limit.count) for limit in letters.list_limits() if is_new or not limit.is_for_new
    ]
    counts.append((usage.tests_this_hour, settings.test_letters_per_hour))
    counts.append((usage.imports_today, settings.imports_per_day))
    return any(0 < limit <= count for count, limit in counts)
