"""Calculate when a mailing's letters are due at each client's local time.

A mailing starts when the clock in its owner's zone shows a certain time. At local time, each client gets the
letter when the clock in the client's zone shows that time on the same date, so the letters of one run go out
over up to 26 hours.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from skymailing.delivery.calendar.recurrence import Recurrence, find_occurrence_number
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.calendar.starts import find_next_start
from skymailing.models import Mailing, OnPassed

EARLIEST = timezone(timedelta(hours=14))  # the first zone in which a day begins
DAY = timedelta(days=1)
# A run is planned some seconds after its first zone's time, so a zone's time counts as passed only after this
# delay.
PUNCTUAL = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class LocalStart:
    """One occurrence of a mailing, at each client's local time."""

    at: datetime  # the occurrence in the owner's zone
    clock: datetime  # the local time at each client, without a zone
    hours: SendingHours  # in the owner's zone
    ends_at: datetime
    on_passed: OnPassed
    next_clock: datetime | None  # the local time of the next occurrence, if there is one

    @classmethod
    def of(cls, mailing: Mailing, at: datetime, hours: SendingHours | None = None) -> Self:
        """Return the start of a mailing, saved or not, whose occurrence in the owner's zone is `at`."""
        hours = hours or SendingHours.of(mailing)
        following = find_next_start(mailing, hours, at)
        return cls(
            at,
            find_clock(mailing, at, hours.zone),
            hours,
            mailing.ends_at,
            OnPassed(mailing.on_passed),
            None if following is None else find_clock(mailing, following, hours.zone),
        )

    def find_time(self, zone: ZoneInfo) -> datetime:
        """Return when the clock in a zone shows the time of the start, in UTC.

        As for occurrences: if the clock shows the time twice, the first one counts; if the clock skips the
        time, the result is when it would have been.
        """
        if zone.key == self.hours.zone.key:
            return self.at
        return self.clock.replace(tzinfo=zone).astimezone(UTC)

    def find_due(self, zone: ZoneInfo, now: datetime) -> datetime:
        """Return when letters to a zone are due if the run is planned `now`."""
        due = self.find_time(zone)
        if self.has_passed(zone, now) and self.on_passed is OnPassed.NEXT_DAY:
            due = self._find_next_day(zone, now) or due
        opening = replace(self.hours, zone=zone).find_next_opening(max(due, now))
        return due if opening is None or opening == now else opening

    def has_passed(self, zone: ZoneInfo, now: datetime) -> bool:
        """Return whether a zone's time has passed at `now`."""
        return self.find_time(zone) < now - PUNCTUAL

    def find_earliest(self, zones: Iterable[ZoneInfo]) -> datetime:
        """Return when the first of the zones, or the owner's, shows the time."""
        return min([self.at, *map(self.find_time, zones)])

    def _find_next_day(self, zone: ZoneInfo, now: datetime) -> datetime | None:
        """Return the same time on the next day; None if the mailing ends, or is repeated, before then."""
        clock = self.clock
        while (due := clock.replace(tzinfo=zone).astimezone(UTC)) <= now:
            clock += DAY
        is_repeated = self.next_clock is not None and clock >= self.next_clock
        return None if due >= self.ends_at or is_repeated else due


def find_clock(mailing: Mailing, at: datetime, zone: ZoneInfo) -> datetime:
    """Return the owner's local time of an occurrence, even if the clock skips that time on this day."""
    local = at.astimezone(zone).replace(tzinfo=None, fold=0)
    rule = Recurrence.of(mailing)
    if rule is None or find_occurrence_number(mailing.starts_at, rule, zone, at) is None:
        return local
    return datetime.combine(local.date(), mailing.starts_at.astimezone(zone).time().replace(fold=0))


def find_earliest_possible(start: LocalStart) -> datetime:
    """Return when the earliest time zone in the world reaches the time."""
    return min(start.at, start.clock.replace(tzinfo=EARLIEST).astimezone(UTC))


def find_zone(name: str, owner_zone: ZoneInfo) -> ZoneInfo:
    """Return a client's zone, or the owner's if it is empty or this machine does not know it."""
    try:
        return ZoneInfo(name) if name else owner_zone
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return owner_zone


def find_due_times(start: LocalStart, zones: Iterable[str], now: datetime) -> Mapping[str, datetime]:
    """Return when the letters of each zone are due; "" is for clients whose zone is unknown."""
    owner_zone = start.hours.zone
    return {name: start.find_due(find_zone(name, owner_zone), now) for name in {"", *zones}}
