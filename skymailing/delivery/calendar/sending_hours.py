"""Calculate the hours in which a mailing's letters may be sent, in its owner's time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from skymailing.models import EVERY_DAY, Mailing

MIDNIGHT = time()
# Sums and searches stop here, because a mailing's time window may last a thousand years.
HORIZON = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class SendingHours:
    """Days of the week (1 is Monday) and hours; hours that close before they open extend past midnight.

    Each opening belongs to the day on which it begins. It begins and ends when the clock first shows or skips
    the hour, so there is no second opening when clocks are set back, and none is lost when they are set
    forward.
    """

    weekdays: str
    opens_at: time | None
    closes_at: time | None
    zone: ZoneInfo

    @classmethod
    def of(cls, mailing: Mailing) -> "SendingHours":
        """Return the sending hours of a mailing."""
        return cls(mailing.weekdays, mailing.opens_at, mailing.closes_at, ZoneInfo(mailing.owner.timezone))

    @property
    def is_limited(self) -> bool:
        """Whether letters must wait at some times."""
        return self.opens_at is not None or self.weekdays != EVERY_DAY

    def is_open(self, moment: datetime) -> bool:
        """Return whether letters may be sent at `moment`."""
        return not self.is_limited or self.find_next_opening(moment) == moment

    def find_closing_time(self, moment: datetime) -> datetime | None:
        """Return when the current opening ends; None if there is none or hours are not limited."""
        if not self.is_limited:
            return None
        begin, end = next(self._list_openings(moment), (None, None))
        return end if begin is not None and begin <= moment else None

    def find_last_closing(self, moment: datetime) -> datetime | None:
        """Return when the last opening before `moment` ended; None if none ended in the past ten days."""
        if not self.is_limited:
            return None
        earliest = moment - timedelta(days=10)
        ends = (end for _begin, end in self._list_openings(earliest))
        return max(takewhile(lambda end: end <= moment, ends), default=None)

    def find_next_opening(self, moment: datetime) -> datetime | None:
        """Return the earliest time from `moment` on at which letters may be sent; None if there is none."""
        if not self.is_limited:
            return moment
        begin, _end = next(self._list_openings(moment), (None, None))
        return None if begin is None else max(begin, moment)

    def measure_open_time(self, start: datetime, end: datetime) -> timedelta:
        """Return the total length of openings from `start` to `end`, at most 400 days later."""
        if not self.is_limited:
            return max(timedelta(), end - start)
        openings = takewhile(lambda opening: opening[0] < end, self._list_openings(start))
        return sum((min(close, end) - max(begin, start) for begin, close in openings), timedelta())

    def add_open_time(self, start: datetime, needed: timedelta) -> datetime | None:
        """Return when `needed` open time has passed since `start`; None if it takes over 400 days."""
        if not self.is_limited:
            return start + needed
        for begin, end in self._list_openings(start):
            begin = max(begin, start)
            if needed <= end - begin:
                return begin + needed
            needed -= end - begin
        return None

    def _list_openings(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the beginning and end, in UTC, of the openings that are not over at `moment`."""
        opens, closes = self.opens_at or MIDNIGHT, self.closes_at or MIDNIGHT
        day = moment.astimezone(self.zone).date() - timedelta(days=1)
        last = day + HORIZON
        while day <= last:
            if str(day.isoweekday()) in self.weekdays:
                closing_day = day if opens < closes else day + timedelta(days=1)
                begin, end = self.find_hour(day, opens), self.find_hour(closing_day, closes)
                if moment < end and begin < end:
                    yield begin, end
            day += timedelta(days=1)

    def find_hour(self, day: date, hour: time) -> datetime:
        """Return when the local clock first shows `hour` or a later time on that day."""
        naive = datetime.combine(day, hour)
        moment = naive.replace(tzinfo=self.zone).astimezone(UTC)
        if self._convert_to_local(moment) == naive:
            return moment
        # The clock skips the hour: find the second at which it is set forward.
        early = naive.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        while moment - early > timedelta(seconds=1):
            middle = (early + (moment - early) / 2).replace(microsecond=0)
            early, moment = (early, middle) if self._convert_to_local(middle) >= naive else (middle, moment)
        return moment

    def _convert_to_local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)
