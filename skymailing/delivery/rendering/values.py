"""Read numbers, dates, and yes or no from the strings in clients' attributes, as their owner writes them.

A typed value is still the string that was imported, so letters print it unchanged; comparisons and filters
use its meaning.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from skymailing.models import AttributeType, User

SPACES = "\\s\u00a0\u2009\u202f"
# Currencies and units before or after a number.
SYMBOLS = r"[$€£₽₴₸¥%]|[A-Z]{3}\b"
WORDS = r"руб(?:лей|ля|ль)?\.?|р\.|грн\.?"
UNITS = re.compile(rf"^(?:{SYMBOLS})[{SPACES}]*|[{SPACES}]*(?:{SYMBOLS}|{WORDS})$")
NUMBER = re.compile(
    rf"[+-]?\d{{1,3}}(?:[{SPACES}'’]\d{{3}})+(?:[.,]\d{{1,9}})?|[+-]?\d{{1,18}}(?:[.,]\d{{1,9}})?",
    re.ASCII,
)
GROUPED = re.compile(
    r"[+-]?\d{1,3}(?:(?P<comma>(?:,\d{3})+)(?:\.\d{1,9})?|(?:\.\d{3})+,\d{1,9}|(?:\.\d{3}){2,})",
    re.ASCII,
)
DATE = re.compile(
    r"(?P<a>\d{1,4})(?P<sign>[./-])(?P<b>\d{1,2})(?P=sign)(?P<c>\d{2,4})(?:г\.?| г\.?)?"
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d{1,9})?)?"
    r"(?P<zone>Z| ?UTC|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
MONTHS = {
    name: number
    for number, name in enumerate("янв фев мар апр мая июн июл авг сен окт ноя дек".split(), start=1)
} | {"май": 5}
NAMED_DATE = re.compile(r"([0-9]{1,2}) ([а-я]{3})[а-я]{0,6}\.? ([0-9]{4})(?: ?г(?:ода|\.)?)?", re.IGNORECASE)
YES = frozenset("yes y true 1 on да д истина + x".split())
NO = frozenset("no n false 0 off нет н ложь -".split())
PIVOT = 69  # two-digit years from here on belong to the 20th century, as in POSIX
MONTH_FIRST_ZONES = frozenset(
    "America/New_York America/Chicago America/Denver America/Los_Angeles America/Phoenix America/Detroit "
    "America/Anchorage America/Boise Pacific/Honolulu US/Eastern US/Central US/Mountain US/Pacific".split()
)

Number = int | float
# Collects the strings that are used as numbers but are not numbers; set while a mailing is checked.
unreadable: ContextVar[set[str] | None] = ContextVar("unreadable", default=None)


class NumberText(str):
    """A number as it was imported."""

    __slots__ = ("number",)
    number: Number | None


class DateText(str):
    """A date as it was imported."""

    __slots__ = ("date",)
    date: datetime | None


class YesNoText(str):
    """Yes or no as it was imported; in a condition, no is false."""

    __slots__ = ("is_yes",)
    is_yes: bool | None

    def __liquid__(self) -> object:
        return str(self) if self.is_yes is None else self.is_yes


@dataclass(frozen=True, slots=True)
class ValueFormats:
    """How an owner's values are read: the types of attributes, the order of dates, and the decimal sign."""

    types: Mapping[str, AttributeType] = field(default_factory=dict)
    is_day_first: bool = True
    # Whether 1,200 means 1.2; 1,200.50 and 12,50 are unambiguous.
    has_decimal_comma: bool = False

    @classmethod
    def of(cls, user: User) -> "ValueFormats":
        """Return the formats of a user's values."""
        return cls.read(user.attribute_types, user.date_order, user.locale, user.timezone)

    @classmethod
    def read(cls, types: Mapping[str, str], order: str, locale: str, zone: str) -> "ValueFormats":
        """Return the formats that a user's columns describe."""
        known = {name: AttributeType(type) for name, type in types.items() if type in set(AttributeType)}
        is_month_first = order == "mdy" or (not order and zone in MONTH_FIRST_ZONES)
        return cls(known, not is_month_first, locale == "ru")

    def choose_readers(self, paths: Iterable[tuple[str, ...]]) -> dict[str, Callable[[str], str]]:
        """Return a function for each typed attribute that templates with these paths use."""
        paths = set(paths)
        used = {path[1] for path in paths if path[0] == "client" and len(path) > 1}
        names = self.types.keys() if ("client",) in paths else self.types.keys() & used
        readers: dict[AttributeType, Callable[[str], str]] = {
            AttributeType.NUMBER: self.read_number,
            AttributeType.DATE: self.read_date,
            AttributeType.YES_NO: read_yes_no,
        }
        return {name: readers[self.types[name]] for name in names if self.types[name] in readers}

    def read_number(self, text: str) -> NumberText:
        value = NumberText(text)
        value.number = self.parse_number(text)
        return value

    def read_date(self, text: str) -> DateText:
        value = DateText(text)
        value.date = self.parse_date(text)
        return value

    def parse_number(self, text: str) -> Number | None:
        """Return the number in a string such as 12,50 or $1,200 or 1 200 ₽, else None."""
        text = text.strip().replace("−", "-")[:60]
        text = UNITS.sub("", UNITS.sub("", text, count=1), count=1).strip()
        if not text.isascii() or not text.isdigit():
            if NUMBER.fullmatch(text) is None and GROUPED.fullmatch(text) is None:
                return None
            text = self._remove_grouping(re.sub(rf"[{SPACES}'’]", "", text))
        elif len(text) > 18:
            return None
        return float(text) if "." in text else int(text)

    def _remove_grouping(self, text: str) -> str:
        grouped = GROUPED.fullmatch(text)
        if grouped is None:
            return text.replace(",", ".")
        is_one_group = text.count(",") == 1 and "." not in text
        if grouped["comma"] and not (is_one_group and self.has_decimal_comma):
            return text.replace(",", "")
        if is_one_group:
            return text.replace(",", ".")
        return text.replace(".", "").replace(",", ".")

    def parse_date(self, text: str) -> datetime | None:
        """Return the date and any time in a string, in the owner's order of day and month; else None."""
        text = text.strip()[:40]
        if named := NAMED_DATE.fullmatch(text):
            month = MONTHS.get(named[2].lower())
            return make_date(int(named[3]), month, int(named[1])) if month else None
        match = DATE.fullmatch(text)
        if match is None:
            return None
        a, b, c = int(match["a"]), int(match["b"]), int(match["c"])
        if len(match["a"]) == 4:
            year, month, day = a, b, c
        elif len(match["a"]) > 2 or len(match["c"]) == 3:
            return None
        else:
            year = c if len(match["c"]) == 4 else c + (1900 if c >= PIVOT else 2000)
            # No country writes the month first with dots.
            is_day_first = (self.is_day_first or match["sign"] == ".") and b <= 12
            day, month = (a, b) if is_day_first or a > 12 else (b, a)
        clock = [int(match[name] or 0) for name in ("hour", "minute", "second")]
        return make_date(year, month, day, *clock)


def make_date(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0
) -> datetime | None:
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - as written, without a zone
    except ValueError:
        return None


def read_yes_no(text: str) -> YesNoText:
    value = YesNoText(text)
    word = text.strip().lower()
    value.is_yes = True if word in YES else False if word in NO else None
    return value


def to_number(value: object, formats: ValueFormats) -> object:
    """Return the number in a string, else the value itself; record a string that is not a number."""
    if not isinstance(value, str):
        return value
    number = value.number if isinstance(value, NumberText) else formats.parse_number(value)
    if number is None and value.strip() and (noted := unreadable.get()) is not None:
        noted.add(str(value)[:100])
    return value if number is None else number


def to_date(value: object, formats: ValueFormats) -> object:
    """Return the date in a string, else the value itself."""
    if not isinstance(value, str):
        return value
    found = value.date if isinstance(value, DateText) else formats.parse_date(value)
    return value if found is None else found


DEFAULT_FORMATS = ValueFormats()


def align(left: object, right: object) -> tuple[object, object]:
    """Return two values in comparable form: as numbers or dates if either is one, else unchanged."""
    pair = (left, right)
    if any(map(is_number, pair)) or all(isinstance(value, NumberText) for value in pair):
        return to_number(left, DEFAULT_FORMATS), to_number(right, DEFAULT_FORMATS)
    if any(isinstance(value, DateText | date) for value in pair):
        times = to_seconds(left), to_seconds(right)
        return pair if None in times else times
    if any(isinstance(value, NumberText) for value in pair):
        numbers = to_number(left, DEFAULT_FORMATS), to_number(right, DEFAULT_FORMATS)
        return numbers if all(map(is_number, numbers)) else pair
    return pair


def to_seconds(value: object) -> float | None:
    """Return a date as seconds, for comparisons; None if the value is not a date."""
    found = to_date(value, DEFAULT_FORMATS)
    if isinstance(found, date) and not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day)  # noqa: DTZ001 - compared without zones
    return found.replace(tzinfo=UTC).timestamp() if isinstance(found, datetime) else None


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def make_clock(moment: datetime) -> dict[str, object]:
    """Return Liquid's values for the current time, as they were at `moment`."""
    then = moment.astimezone(UTC).replace(tzinfo=None)  # like workers, whose time zone is UTC
    return {"now": then, "today": then.date()}
