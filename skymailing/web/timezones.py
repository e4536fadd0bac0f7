"""Times as people type them: on the clock of their own zone, where an hour may be missing or come twice."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from skymailing.errors import SkyMailingError

# What browsers send for <input type=datetime-local>, and what a script might.
FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")
# Years that every database and zone can do sums with.
FIRST_YEAR, LAST_YEAR = 1970, 9000


class UnreadableTime(SkyMailingError):
    """A text is not a date and a time."""

    def __str__(self) -> str:
        return str(_("Write a date and a time, such as 2026-12-31T09:00."))


class YearOutOfRange(SkyMailingError):
    """A time lies in a year that not every database and zone can do sums with."""

    def __str__(self) -> str:
        return str(_("Choose a year between 1970 and 9000."))


class SkippedTime(SkyMailingError):
    """A time of day that does not exist on that date, as clocks are put forward over it."""

    def __str__(self) -> str:
        return str(
            _("This time does not exist on that day: the clocks are put forward over it. Choose another.")
        )


def parse_local(text: str, zone: ZoneInfo) -> datetime:
    """Return the moment in UTC; a time that comes twice is the first; raises the errors above."""
    for format_ in FORMATS:
        try:
            # The zone follows in the next step; what people type has none.
            typed = datetime.strptime(text.strip(), format_)  # noqa: DTZ007
        except ValueError:
            continue
        if not FIRST_YEAR <= typed.year <= LAST_YEAR:
            raise YearOutOfRange
        return to_utc(typed, zone)
    raise UnreadableTime


def to_utc(typed: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment that a clock in `zone` shows as `typed`; raises SkippedTime."""
    moment = typed.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != typed:
        raise SkippedTime
    return moment


def format_local(moment: datetime, zone: ZoneInfo) -> str:
    """Return the moment as <input type=datetime-local> wants it; with seconds only when there are any."""
    local = moment.astimezone(zone)
    return local.strftime("%Y-%m-%dT%H:%M:%S" if local.second else "%Y-%m-%dT%H:%M")


def day_starts(day: date, zone: ZoneInfo) -> datetime:
    """Return the moment in UTC when a day begins in `zone`."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def day_ends(day: date, zone: ZoneInfo) -> datetime:
    """Return the moment in UTC when the day after begins in `zone`."""
    return day_starts(day + timedelta(days=1), zone)
