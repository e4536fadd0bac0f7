"""List the time zones that users can choose, by region, in their language and with current offsets."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from babel.core import get_global
from babel.dates import get_timezone_location
from flask_babel import get_locale, lazy_gettext, lazy_pgettext
from wtforms.fields import SelectChoice

# Regions by the first part of a zone's name; CLDR has names for continents, under these codes.
CONTINENTS = {"Africa": "002", "America": "019", "Antarctica": "AQ", "Asia": "142", "Europe": "150"}
OTHER_REGIONS = {
    "Arctic": lazy_gettext("Arctic"),
    "Atlantic": lazy_gettext("Atlantic Ocean"),
    "Australia": lazy_pgettext("region", "Australia"),
    "Indian": lazy_gettext("Indian Ocean"),
    "Pacific": lazy_gettext("Pacific Ocean"),
}


@dataclass(frozen=True)
class Place:
    """A time zone, named after a city."""

    zone: ZoneInfo  # cached here, because zoneinfo itself caches only a few and would read the file again
    region: str
    city: str
    country: str  # empty if unknown


def list_timezone_choices(now: datetime, current: str) -> list[SelectChoice]:
    """Return UTC, and the zones of all regions, by region and city; `current` is always among them."""
    places = _list_places(str(get_locale()), current)
    choices = [SelectChoice("UTC", "UTC")]
    if current != "UTC" and is_timezone(current) and current not in {place.zone.key for place in places}:
        # A zone without a place, such as Etc/GMT-3. If it were missing, saving the profile would select UTC.
        label = f"{current} ({format_offset(ZoneInfo(current).utcoffset(now))})"
        choices.append(SelectChoice(current, label))
    for place in places:
        label = f"{place.city} ({format_offset(place.zone.utcoffset(now))})"
        # The search also finds the country and the zone's name in the database.
        keywords = {"data-keywords": f"{place.country} {place.zone.key}"}
        choices.append(SelectChoice(place.zone.key, label, keywords, place.region))
    return choices


def name_timezone(zone: str, now: datetime) -> str:
    """Return a zone's name as shown on pages, such as `Moscow (UTC+3)`."""
    if "/" not in zone:
        return zone
    return f"{_name_city(zone, get_locale())} ({format_offset(ZoneInfo(zone).utcoffset(now))})"


def format_offset(offset: timedelta | None) -> str:
    """Return an offset from UTC, such as UTC+3 or UTC−3:30."""
    minutes = round(offset.total_seconds() / 60) if offset else 0
    if not minutes:
        return "UTC"
    hours, remainder = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '−'}{hours}" + (f":{remainder:02}" if remainder else "")


def is_timezone(name: str) -> bool:
    """Return whether a zone with this name exists and is the same on every machine."""
    return name in list_timezones() - {"Factory", "localtime"}


@cache
def list_timezones() -> set[str]:
    """Return the names of all zones; finding them on the disk takes 40 ms."""
    return available_timezones()


@lru_cache(maxsize=64)
def _list_places(language: str, current: str) -> tuple[Place, ...]:
    """Return the zones with a place by region and city; `language` is the reader's."""
    locale = Locale.parse(language)
    countries = get_global("zone_territories")
    # Other names are older aliases of these, which a browser or an older account may still use.
    names: Iterable[str] = {name for name in list_timezones() if name in countries} | {current}
    places = [
        Place(
            ZoneInfo(name),
            _name_region(name.partition("/")[0], locale),
            _name_city(name, locale),
            locale.territories.get(countries.get(name, ""), ""),
        )
        for name in sorted(names)
        if name.partition("/")[0] in CONTINENTS.keys() | OTHER_REGIONS.keys()
    ]
    return tuple(sorted(places, key=lambda place: (place.region, place.city)))


def _name_city(zone: str, locale: Locale) -> str:
    return str(get_timezone_location(ZoneInfo(zone), locale=locale, return_city=True))


def _name_region(region: str, locale: Locale) -> str:
    if code := CONTINENTS.get(region):
        return str(locale.territories[code])
    return str(OTHER_REGIONS[region])
