"""Parse and format local times, where a clock change may skip or repeat an hour."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from skymailing.errors import UserError

# The formats that browsers send for <input type=datetime-local>, and those that scripts may send.
FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")
# Years that every database and time zone can handle.
FIRST_YEAR, LAST_YEAR = 1970, 9000


def parse_local(text: str, zone: ZoneInfo) -> datetime:
    """Return the time in UTC; in a repeated hour, its first occurrence.

    Raises UserError `time_unreadable`, `time_year_out_of_range` or `time_skipped`.
    """
    for format_ in FORMATS:
        try:
            # The typed text has no zone; the next step adds the user's.
            typed = datetime.strptime(text.strip(), format_)  # noqa: DTZ007
        except ValueError:
            continue
        if not FIRST_YEAR <= typed.year <= LAST_YEAR:
            raise UserError("time_year_out_of_range", first=FIRST_YEAR, last=LAST_YEAR)
        return to_utc(typed, zone)
    raise UserError("time_unreadable")


def to_utc(typed: datetime, zone: ZoneInfo) -> datetime:
    """Return the time in UTC at which a clock in `zone` shows `typed`; raises UserError `time_skipped`."""
    moment = typed.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != typed:
        raise UserError("time_skipped")
    return moment


def format_local(moment: datetime, zone: ZoneInfo) -> str:
    """Return the time for <input type=datetime-local>, with seconds only if they are not zero."""
    local = moment.astimezone(zone)
    return local.strftime("%Y-%m-%dT%H:%M:%S" if local.second else "%Y-%m-%dT%H:%M")


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the time in UTC at which a day begins in `zone`."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the time in UTC at which the next day begins in `zone`."""
    return start_of_day(day + timedelta(days=1), zone)
