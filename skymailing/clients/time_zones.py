"""Parse the time zones of clients in the forms that people and other programs use."""

import re
from functools import cache

from skymailing.clients.cleaning import InvalidValue, ValueFault, clean_text
from skymailing.web.timezone_choices import is_timezone, list_timezones

# UTC+3, GMT +03:00 or +3, and hours from Moscow, as in Russia.
OFFSET = re.compile(r"(?:(utc|gmt|msk|мск))?\s*([+\-−])\s*(\d{1,2})(?::?00)?", re.IGNORECASE)
NAMES = {"utc": "UTC", "gmt": "UTC", "msk": "Europe/Moscow", "мск": "Europe/Moscow"}
MOSCOW_HOURS = 3
FIRST_HOURS, LAST_HOURS = -12, 14  # of the zones that exist
MAX_LENGTH = 64


def clean_timezone(text: str) -> str:
    """Return the name of the IANA zone; empty for an empty text. Raises InvalidValue."""
    name = clean_text(text)
    if not name:
        return ""
    if found := find_timezone(name):
        return found
    raise InvalidValue(ValueFault.UNKNOWN_TIMEZONE)


def find_timezone(name: str) -> str:
    """Return the IANA zone for a name in any case or for an offset; empty if it is unknown."""
    if len(name) > MAX_LENGTH:
        return ""
    folded = name.casefold()
    if folded in NAMES:
        return NAMES[folded]
    if found := _list_folded().get(folded.replace(" ", "_")):
        return found
    match = OFFSET.fullmatch(name)
    if not match:
        return ""
    hours = int(match[3]) * (1 if match[2] == "+" else -1)
    if (match[1] or "").casefold() in ("msk", "мск"):
        hours += MOSCOW_HOURS
    if not FIRST_HOURS <= hours <= LAST_HOURS:
        return ""
    # The signs of these names are reversed: Etc/GMT-3 is three hours ahead of UTC.
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


@cache
def _list_folded() -> dict[str, str]:
    """Return the names of zones by their lowercase form."""
    return {name.casefold(): name for name in list_timezones() if is_timezone(name)}
