"""Format rates, counts and times of day for the pages about mailings."""

from datetime import datetime

from flask_babel import format_datetime, format_decimal, ngettext

MIN_RATE_PER_SECOND = 2.0  # letters per second; slower rates are shown per minute


def format_rate(rate: float) -> str:
    """Return a rate; `rate` is in letters per second."""
    if rate >= MIN_RATE_PER_SECOND:
        count = round(rate)
        return str(
            ngettext(
                "%(rate)s email per second", "%(rate)s emails per second", count, rate=format_number(count)
            )
        )
    count = round(rate * 60)
    return str(
        ngettext("%(rate)s email per minute", "%(rate)s emails per minute", count, rate=format_number(count))
    )


def format_clock_time(moment: datetime, now: datetime) -> str:
    """Return the time of day in the reader's zone, with the date if it is another day."""
    if format_datetime(moment, "yMMdd") == format_datetime(now, "yMMdd"):
        return str(format_datetime(moment, "HH:mm"))
    is_this_year = format_datetime(moment, "y") == format_datetime(now, "y")
    return str(format_datetime(moment, "d MMM, HH:mm" if is_this_year else "d MMM y, HH:mm"))


def format_number(count: int) -> str:
    return str(format_decimal(count))
