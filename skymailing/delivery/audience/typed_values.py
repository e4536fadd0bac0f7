"""SQL expressions for the numbers, dates and yes/no values in clients' attributes.

Their results are the same as those of `delivery.rendering.values.ValueFormats`. The functions that they need
are created on PostgreSQL by migration 0025, and on SQLite here, in Python.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    String,
    Text,
    and_,
    any_,
    case,
    cast,
    event,
    func,
    literal,
    literal_column,
    not_,
    or_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from skymailing.delivery.rendering.values import NO, YES, ValueFormats
from skymailing.extensions import db
from skymailing.models import Client

DIGITS = "0123456789"
# The days that every year has, as MM-DD.
DAYS = [f"{date(2001, 1, 1) + timedelta(days):%m-%d}" for days in range(365)]
BY_ORDER = {is_day_first: ValueFormats(is_day_first=is_day_first) for is_day_first in (False, True)}
BY_COMMA = {has_comma: ValueFormats(has_decimal_comma=has_comma) for has_comma in (False, True)}


def configure(app: Flask) -> None:
    """Add the functions that parse numbers and dates to every SQLite connection."""
    with app.app_context():
        engine = db.engine
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def add_functions(connection: Any, _record: Any) -> None:
        connection.create_function("attribute_number", 2, read_number, deterministic=True)
        connection.create_function("attribute_date", 2, read_date, deterministic=True)
        connection.create_function("stored_day", 2, read_day, deterministic=True)


def read_number(text: object, has_decimal_comma: int) -> float | None:
    """Return the number in a string, or None."""
    if not isinstance(text, str):
        return None
    number = BY_COMMA[bool(has_decimal_comma)].parse_number(text)
    return None if number is None else float(number)


def read_date(text: object, is_day_first: int) -> str | None:
    """Return the date in a string as YYYY-MM-DD, or None."""
    if not isinstance(text, str):
        return None
    found = BY_ORDER[bool(is_day_first)].parse_date(text)
    return None if found is None else found.date().isoformat()


def read_day(stored: str, zone: str) -> str:
    """Return the date of a stored time in a time zone."""
    added_at = datetime.fromisoformat(stored).replace(tzinfo=UTC)
    return added_at.astimezone(ZoneInfo(zone)).date().isoformat()


def text_of(key: str) -> ColumnElement[str]:
    """Return the text of an attribute; NULL if a client has none."""
    text: ColumnElement[str] = Client.attributes[key].as_string()
    return text


def number_of(key: str, formats: ValueFormats, dialect: str) -> ColumnElement[float]:
    """Return the number in an attribute; NULL if it is missing or not a number.

    Numbers of digits, with or without a decimal point, are recognized without the function, which takes 50
    times longer on PostgreSQL. CASE is needed, because a cast next to a condition may be evaluated for every
    row.
    """
    text = text_of(key)
    is_plain = [_is_plain_number(text)] if dialect != "sqlite" else _are_plain_numbers(text)
    return case(
        *((condition, cast(text, Float(53))) for condition in is_plain),
        else_=func.attribute_number(text, _flag(formats.has_decimal_comma, dialect), type_=Float()),
    )


def _is_plain_number(text: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a string consists of digits and at most one point between them, on PostgreSQL."""
    whole = func.replace(text, ".", "", type_=String)
    has_point = and_(
        func.length(text) - func.length(whole) == 1, not_(text.startswith(".")), not_(text.endswith("."))
    )
    return and_(
        func.length(text).between(1, 15),
        _is_digits(whole),
        or_(func.length(whole) == func.length(text), has_point),
    )


def _are_plain_numbers(text: ColumnElement[str]) -> list[ColumnElement[bool]]:
    """Return whether a string is a whole number, and whether it has one point between digits, on SQLite.

    SQLite parses the JSON again at each use of the string, so it is used as few times as possible: a string
    is a whole number if it stays the same when converted to an integer and back. `parse_number` reads up to
    18 digits.
    """
    is_whole = cast(cast(text, Integer) % literal_column("1000000000000000000"), Text) == text
    has_length = func.length(text).between(1, 15)
    return [
        is_whole,
        and_(_matches(text, "[0-9]*.*[0-9]"), _lacks(text, "*[^0-9.]*"), _lacks(text, "*.*.*"), has_length),
    ]


def date_of(key: str, formats: ValueFormats, dialect: str) -> ColumnElement[str]:
    """Return the date in an attribute as YYYY-MM-DD; NULL if it is missing or not a date.

    Dates such as 2026-11-28 and 28.11.2026 are recognized without the function (on PostgreSQL, except for 29
    February).
    """
    text = text_of(key)
    written = _write_date(text)
    read = func.attribute_date(text, _flag(formats.is_day_first, dialect), type_=String)
    if dialect == "sqlite":
        year = "[1-9][0-9][0-9][0-9]"
        is_iso = and_(_matches(text, f"{year}-[01][0-9]-[0-3][0-9]"), _is_day(text))
        has_points = and_(_matches(text, f"[0-3][0-9].[01][0-9].{year}"), _is_day(written))
        return case((is_iso, text), (has_points, written), else_=read)
    found: ColumnElement[str] = case(
        (_has_form(text, "0000-00-00") & _is_day_of_year(func.substr(text, 6, 5)), text),
        (_has_form(text, "00.00.0000") & _is_day_of_year(func.substr(written, 6, 5)), written),
        else_=read,
    )
    # Compare byte by byte: dates in this form sort in the order of their characters.
    return found.collate("C")


def is_within(column: ColumnElement[str], first: date, last: date, dialect: str) -> ColumnElement[bool]:
    """Return whether a date is from `first` to `last`, inclusive; evaluates the date's expression once."""
    if dialect == "sqlite":
        return column.between(first.isoformat(), last.isoformat())
    # PostgreSQL evaluates the operand of a BETWEEN twice. The buckets are before, between and after.
    after_last = f"{last.isoformat()}~"
    return func.width_bucket(column, literal([first.isoformat(), after_last], ARRAY(Text))) == 1


def _has_form(text: ColumnElement[str], form: str) -> ColumnElement[bool]:
    """Return whether a string is a date of this form, with a year from 1000 on, on PostgreSQL."""
    year = func.substr(text, form.index("0000") + 1, 1)
    return (func.translate(text, DIGITS, "0" * 10) == form) & (year != "0")


def _is_day_of_year(month_and_day: ColumnElement[str]) -> ColumnElement[bool]:
    return month_and_day == any_(literal(DAYS, ARRAY(Text)))


def _is_day(text: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a date exists, on SQLite, which converts 31 April to 1 May."""
    return func.date(text, "+0 days", type_=String) == text


def _matches(text: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    return text.bool_op("GLOB")(pattern)


def _lacks(text: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    return text.bool_op("NOT GLOB")(pattern)


def _write_date(text: ColumnElement[str]) -> ColumnElement[str]:
    """Return DD.MM.YYYY as YYYY-MM-DD."""
    year, month, day = (func.substr(text, *place, type_=String) for place in ((7, 4), (4, 2), (1, 2)))
    return year + "-" + month + "-" + day


def _is_digits(text: ColumnElement[str]) -> ColumnElement[bool]:
    return func.ltrim(text, DIGITS) == ""


def yes_no_of(key: str) -> ColumnElement[bool | None]:
    """Return whether an attribute means yes; NULL if it means neither yes nor no."""
    word = func.lower(func.trim(text_of(key)))
    return case((word.in_(sorted(YES)), True), (word.in_(sorted(NO)), False))


def _flag(value: bool, dialect: str) -> Any:
    """Return a constant instead of a parameter, so that the database can use it for its query plan."""
    return literal_column(str(int(value)) if dialect == "sqlite" else str(value).lower())
