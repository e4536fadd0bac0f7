"""List a user's limits and what the user has used up, for their profile and for managers."""

from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import UsageKind, User
from skymailing.quotas import counting, letters


@dataclass(frozen=True, slots=True)
class Usage:
    """One limit: what it limits, how much is used up, and the limit itself, or 0 if there is none."""

    name: str
    used: int
    most: int

    @property
    def is_reached(self) -> bool:
        return 0 < self.most <= self.used


@dataclass(frozen=True, slots=True)
class Limits:
    """A user's limits; `new_until` is when those of new accounts end, if the account has them."""

    usages: list[Usage]
    is_new: bool
    new_until: datetime | None


def measure(user: User, now: datetime) -> Limits:
    """Return the user's limits and usage."""
    is_new = letters.is_new(user, now) and any(limit.is_for_new for limit in letters.list_limits())
    return Limits(_letters(user, is_new, now), is_new, letters.new_until(user) if is_new else None)


def _letters(user: User, is_new: bool, now: datetime) -> list[Usage]:
    names = {1: _("Letters in this hour"), letters.DAY: _("Letters in 24 hours")}
    limits = [limit for limit in letters.list_limits() if is_new or not limit.is_for_new]
    usages = []
    for hours, name in names.items():
        used = db.session.scalar(select(counting.total(user.id, UsageKind.LETTERS, hours, now))) or 0
        most = min((limit.most for limit in limits if limit.hours == hours), default=0)
        usages.append(Usage(name, used, most))
    return usages
