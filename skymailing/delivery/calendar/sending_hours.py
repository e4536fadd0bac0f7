"""The hours in which a mailing's letters may leave, on its owner's clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from skymailing.models import EVERY_DAY, Mailing

MIDNIGHT = time()
# How far sums and searches look: a window may be open for a thousand years.
HORIZON = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class SendingHours:
    """Days of the week, 1 for Monday, and hours; hours that close before they open go past midnight.

    Each opening belongs to the day on which it begins. It begins and ends when the clock first shows
    its hour, or would have: a clock put back opens nothing twice, one put forward skips nothing.
    """

    weekdays: str
    opens: time | None
    closes: time | None
    zone: ZoneInfo

    @classmethod
    def of(cls, mailing: Mailing) -> "SendingHours":
        return cls(mailing.weekdays, mailing.opens_at, mailing.closes_at, ZoneInfo(mailing.owner.timezone))

    @property
    def is_limited(self) -> bool:
        """Whether there is any hour outside of them."""
        return self.opens is not None or self.weekdays != EVERY_DAY

    def is_open(self, moment: datetime) -> bool:
        """Whether letters may leave at `moment`."""
        return not self.is_limited or self.next_opening(moment) == moment

    def closes_after(self, moment: datetime) -> datetime | None:
        """Return when the opening that `moment` lies in ends; None when it does not end or there is none."""
        if not self.is_limited:
            return None
        begin, end = next(self._openings(moment), (None, None))
        return end if begin is not None and begin <= moment else None

    def next_opening(self, moment: datetime) -> datetime | None:
        """Return the first moment, from `moment` on, at which letters may leave."""
        if not self.is_limited:
            return moment
        begin, _end = next(self._openings(moment), (None, None))
        return None if begin is None else max(begin, moment)

    def open_time(self, start: datetime, end: datetime) -> timedelta:
        """Return how much of the time between is open; looks no further than 400 days."""
        if not self.is_limited:
            return max(timedelta(), end - start)
        openings = takewhile(lambda opening: opening[0] < end, self._openings(start))
        return sum((min(close, end) - max(begin, start) for begin, close in openings), timedelta())

    def after_open_time(self, start: datetime, needed: timedelta) -> datetime | None:
        """Return when so much open time has passed since `start`; None when not within 400 days."""
        if not self.is_limited:
            return start + needed
        for begin, end in self._openings(start):
            begin = max(begin, start)
            if needed <= end - begin:
                return begin + needed
            needed -= end - begin
        return None

    def _openings(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield beginning and end, in UTC, of the openings that are not over at `moment`."""
        opens, closes = self.opens or MIDNIGHT, self.closes or MIDNIGHT
        day = moment.astimezone(self.zone).date() - timedelta(days=1)
        last = day + HORIZON
        while day <= last:
            if str(day.isoweekday()) in self.weekdays:
                closing_day = day if opens < closes else day + timedelta(days=1)
                begin, end = self._first_moment(day, opens), self._first_moment(closing_day, closes)
                if moment < end and begin < end:
                    yield begin, end
            day += timedelta(days=1)

    def _first_moment(self, day: date, hour: time) -> datetime:
        """Return when the clock first shows `hour` on that day, or first is past it."""
        naive = datetime.combine(day, hour)
        moment = naive.replace(tzinfo=self.zone).astimezone(UTC)
        if self._clock(moment) == naive:
            return moment
        # The clock is put forward over the hour: find the second at which it is.
        early = naive.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        while moment - early > timedelta(seconds=1):
            middle = (early + (moment - early) / 2).replace(microsecond=0)
            early, moment = (early, middle) if self._clock(middle) >= naive else (middle, moment)
        return moment

    def _clock(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)
