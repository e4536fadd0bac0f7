"""Add up what users have sent, using hourly counts, which are few even for many letters."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from heapq import nlargest
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, select

from skymailing.extensions import db
from skymailing.models import SHOWN_KINDS, UsageHour, UsageKind, User
from skymailing.quotas.counting import get_window_start, hour_of
from skymailing.quotas.letters import HOURS_PER_DAY
from skymailing.reports.periods import Period

RATED_DAYS = 30
SHOWN_DAYS = 7
LARGEST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class OwnerUsage:
    """A user's usage: letters and problems in 30 days, and the limited quantities.

    `accepted` counts the letters that mail servers accepted, including those returned later.
    """

    owner_id: int
    letters: int = 0
    accepted: int = 0
    bounces: int = 0
    complaints: int = 0
    letters_today: int = 0  # in the last 24 hours
    accepted_today: int = 0
    letters_this_hour: int = 0
    tests_this_hour: int = 0
    imports_today: int = 0
    # Requests in the last two days to use an address as a sender or for test letters.
    questions: int = 0


def measure_owners(now: datetime, owner_ids: Collection[int] | None = None) -> dict[int, OwnerUsage]:
    """Return the usage of all users, or of these, by ID; users without any are missing."""
    day, hour = get_window_start(HOURS_PER_DAY, now), hour_of(now)
    # Grouped like the primary key, so that no database has to sort.
    statement = (
        select(
            UsageHour.owner_id,
            UsageHour.kind,
            func.sum(UsageHour.count),
            func.sum(case((UsageHour.begins_at >= day, UsageHour.count), else_=0)),
            func.sum(case((UsageHour.begins_at >= hour, UsageHour.count), else_=0)),
        )
        .where(UsageHour.begins_at >= hour_of(now - timedelta(days=RATED_DAYS)))
        .group_by(UsageHour.owner_id, UsageHour.kind)
    )
    if owner_ids is not None:
        statement = statement.where(UsageHour.owner_id.in_(owner_ids))
    counted: dict[int, dict[str, tuple[int, int, int]]] = {}
    for owner_id, kind, *sums in db.session.execute(statement):
        counted.setdefault(owner_id, {})[kind] = (int(sums[0]), int(sums[1]), int(sums[2]))
    return {owner_id: _summarize(owner_id, kinds) for owner_id, kinds in counted.items()}


def _summarize(owner_id: int, kinds: dict[str, tuple[int, int, int]]) -> OwnerUsage:
    def count(kind: UsageKind, window: int = 0) -> int:
        return kinds.get(kind, (0, 0, 0))[window]

    return OwnerUsage(
        owner_id,
        letters=count(UsageKind.LETTERS),
        accepted=count(UsageKind.ACCEPTED),
        bounces=count(UsageKind.BOUNCES),
        complaints=count(UsageKind.COMPLAINTS),
        letters_today=count(UsageKind.LETTERS, 1),
        accepted_today=count(UsageKind.ACCEPTED, 1),
        letters_this_hour=count(UsageKind.LETTERS, 2),
        tests_this_hour=count(UsageKind.TEST_LETTERS, 2),
        imports_today=count(UsageKind.IMPORTS, 1),
        questions=count(UsageKind.SENDER_LETTERS) + count(UsageKind.REVIEWER_LETTERS),
    )


@dataclass(frozen=True, slots=True)
class LargestSender:
    """A user with their usage."""

    user: User
    usage: OwnerUsage


def find_largest(usages: dict[int, OwnerUsage]) -> list[LargestSender]:
    """Return the users with the most letters accepted by servers."""
    senders = [usage for usage in usages.values() if usage.accepted]
    most = nlargest(LARGEST_SHOWN, senders, key=lambda usage: (usage.accepted, usage.owner_id))
    users = select(User).where(User.id.in_([usage.owner_id for usage in most]))
    found = {user.id: user for user in db.session.scalars(users)}
    return [LargestSender(found[usage.owner_id], usage) for usage in most if usage.owner_id in found]


@dataclass(frozen=True, slots=True)
class Day:
    """The letters of all users on one day, and those that were accepted, bounced or were reported as spam."""

    day: date
    letters: int
    accepted: int
    bounces: int
    complaints: int


def count_days(now: datetime, zone: ZoneInfo) -> list[Day]:
    """Return the last SHOWN_DAYS days in a time zone, beginning with today."""
    today = now.astimezone(zone).date()
    period = Period(today - timedelta(days=SHOWN_DAYS - 1), today, zone)
    statement = (
        select(UsageHour.begins_at, UsageHour.kind, func.sum(UsageHour.count))
        .where(UsageHour.kind.in_(SHOWN_KINDS), UsageHour.begins_at >= period.begins_at)
        .group_by(UsageHour.begins_at, UsageHour.kind)
    )
    counts: Counter[tuple[date, str]] = Counter()
    for begins_at, kind, count in db.session.execute(statement):
        counts[begins_at.astimezone(zone).date(), kind] += int(count)
    return [
        Day(
            day,
            letters=counts[day, UsageKind.LETTERS],
            accepted=counts[day, UsageKind.ACCEPTED],
            bounces=counts[day, UsageKind.BOUNCES],
            complaints=counts[day, UsageKind.COMPLAINTS],
        )
        for day in reversed(period.days)
    ]
