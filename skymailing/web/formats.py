"""Show numbers and times in the reader's language and time zone."""

from datetime import date, datetime
from functools import cache

from babel import Locale, numbers
from flask_babel import format_date, format_datetime, format_decimal, get_locale
from markupsafe import Markup, escape

from skymailing.clock import utcnow
from skymailing.web.i18n import choose_timezone, get_user_zone
from skymailing.web.timezone_choices import format_offset, name_timezone


def number(value: float) -> str:
    """Return a number with the separators of the current language."""
    locale = get_locale()
    return format_integer(value, locale) if locale and isinstance(value, int) else str(format_decimal(value))


def format_integer(value: int, locale: Locale) -> str:
    """Return a whole number with the separators of a language.

    This is ten times as fast as Babel, and the report of a year has thousands of numbers.
    """
    separator = _find_separator(locale)
    if separator is None:
        return str(numbers.format_decimal(value, locale=locale))
    return f"{value:,}".replace(",", separator)


@cache
def _find_separator(locale: Locale) -> str | None:
    """Return a language's thousands separator; None if it does not group digits by three."""
    is_plain = locale.decimal_formats[None].grouping == (3, 3)
    return numbers.get_group_symbol(locale) if is_plain else None


def local_time(
    moment: datetime | None,
    *,
    zone: bool = True,
    seconds: bool = False,
    weekday: bool = False,
    day: bool = True,
) -> Markup:
    """Return a <time> element in the reader's time zone; a dash for None.

    The pattern is `d MMM y, HH:mm`. Babel would take longer, and a page contains up to fifty times.
    """
    locale, reader_zone = get_locale(), get_user_zone()
    if moment is None or locale is None:
        return Markup('<span class="no-value">–</span>')
    local = moment.astimezone(reader_zone)
    text = f"{local:%H:%M}"
    if seconds:
        text += f":{local:%S}"
    if day:
        text = f"{local.day} {locale.months['format']['abbreviated'][local.month]} {local.year}, {text}"
    if weekday:
        text = f"{locale.days['format']['abbreviated'][local.weekday()]}, {text}"
    shown = escape(text)
    if zone:
        shown += Markup(' <span class="zone">%s</span>') % format_offset(local.utcoffset())
    values = (moment.isoformat(timespec="seconds"), reader_zone.key, shown)
    return Markup('<time datetime="%s" title="%s">%s</time>') % values


def local_date(moment: datetime) -> Markup:
    """Return the day of a time as a <time> element, such as 1 July 2026."""
    return Markup('<time datetime="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), format_date(moment, "d MMMM y")
    )


def clock_time(moment: datetime) -> str:
    """Return the time of day in the reader's zone, for places without room for the date."""
    return str(format_datetime(moment, "HH:mm:ss" if moment.second else "HH:mm"))


def short_day(day: date, year: bool = True) -> str:
    """Format a calendar day, which, unlike a time, has no time zone."""
    return str(format_date(day, "d MMM y" if year else "d MMM"))


def timezone_name() -> str:
    """Return the reader's time zone with its current offset, such as `Moscow (UTC+3)`."""
    return name_timezone(choose_timezone(), utcnow())


def zone_label(moment: datetime) -> str:
    """Return the offset of the reader's time zone at a time, such as UTC+3 or UTC-3:30."""
    return format_offset(moment.astimezone(get_user_zone()).utcoffset())
