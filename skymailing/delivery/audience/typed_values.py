"""SQL expressions for the numbers, dates and words in clients' attributes.

They give the same values as `delivery.rendering.values.Habits`. PostgreSQL has the functions from the
migration 0025; SQLite gets them here, in Python.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from sqlalchemy import (
    ColumnElement,
    Float,
    String,
    and_,
    case,
    cast,
    event,
    func,
    literal_column,
    not_,
    or_,
)

from skymailing.delivery.rendering.values import NO, YES, Habits
from skymailing.extensions import db
from skymailing.models import Client

DIGITS = "0123456789"
LONG_MONTHS = ["01", "03", "05", "07", "08", "10", "12"]
BY_ORDER = {is_day_first: Habits(is_day_first=is_day_first) for is_day_first in (False, True)}
BY_COMMA = {has_comma: Habits(has_decimal_comma=has_comma) for has_comma in (False, True)}


def configure(app: Flask) -> None:
    """Add the functions that read numbers and dates to every connection with SQLite."""
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
    """Return the number in a text, or None."""
    if not isinstance(text, str):
        return None
    number = BY_COMMA[bool(has_decimal_comma)].parse_number(text)
    return None if number is None else float(number)


def read_date(text: object, is_day_first: int) -> str | None:
    """Return the date in a text as YYYY-MM-DD, or None."""
    if not isinstance(text, str):
        return None
    found = BY_ORDER[bool(is_day_first)].parse_date(text)
    return None if found is None else found.date().isoformat()


def read_day(stored: str, zone: str) -> str:
    """Return the date of a stored moment on the clock of a time zone."""
    moment = datetime.fromisoformat(stored).replace(tzinfo=UTC)
    return moment.astimezone(ZoneInfo(zone)).date().isoformat()


def text_of(key: str) -> ColumnElement[str]:
    """Return the text of an attribute; NULL if a client has none."""
    text: ColumnElement[str] = Client.attributes[key].as_string()
    return text


def number_of(key: str, habits: Habits, dialect: str) -> ColumnElement[float]:
    """Return the number in an attribute; NULL if it is missing or no number.

    Numbers in digits, with or without a point, are recognized without calling the function, which takes 50
    times longer on PostgreSQL. A CASE does this, as a cast beside a condition may be evaluated for every row.
    """
    text = text_of(key)
    is_plain = [_is_plain_number(text)] if dialect != "sqlite" else _are_plain_numbers(text)
    return case(
        *((condition, cast(text, Float(53))) for condition in is_plain),
        else_=func.attribute_number(text, _flag(habits.has_decimal_comma, dialect), type_=Float()),
    )


def _is_plain_number(text: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a text has digits only, and at most one point between them, on PostgreSQL."""
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
    """Return whether a text has digits only, and whether it has one point between digits, on SQLite.

    SQLite reads the JSON again wherever the text stands, so it stands in few places.
    """
    has_length = func.length(text).between(1, 15)
    return [
        and_(_matches(text, "[0-9]*"), _lacks(text, "*[^0-9]*"), has_length),
        and_(_matches(text, "[0-9]*.*[0-9]"), _lacks(text, "*[^0-9.]*"), _lacks(text, "*.*.*"), has_length),
    ]


def date_of(key: str, habits: Habits, dialect: str) -> ColumnElement[str]:
    """Return the date in an attribute as YYYY-MM-DD; NULL if it is missing or no date.

    Dates such as 2026-11-28 and 28.11.2026 are recognized without calling the function, on PostgreSQL
    except for 29 February.
    """
    text = text_of(key)
    written = _write_date(text, (7, 4, 1))
    read = func.attribute_date(text, _flag(habits.is_day_first, dialect), type_=String)
    if dialect == "sqlite":
        year = "[1-9][0-9][0-9][0-9]"
        is_iso = and_(_matches(text, f"{year}-[01][0-9]-[0-3][0-9]"), _is_day(text))
        has_points = and_(_matches(text, f"[0-3][0-9].[01][0-9].{year}"), _is_day(written))
        return case((is_iso, text), (has_points, written), else_=read)
    found: ColumnElement[str] = case(
        (_is_plain_date(text, "____-__-__", (1, 6, 9)), text),
        (_is_plain_date(text, "__.__.____", (7, 4, 1)), written),
        else_=read,
    )
    # Compared byte by byte, as the order of dates is that of their characters.
    return found.collate("C")


def _is_plain_date(
    text: ColumnElement[str], pattern: str, places: tuple[int, int, int]
) -> ColumnElement[bool]:
    """Return whether a text is a date of this form, on PostgreSQL; `places` are those of year, month and day.

    Places count from 1.
    """
    year, month, day = places
    digits = func.replace(text, pattern.strip("_")[0], "", type_=String)
    year_of = func.substr(text, year, 4, type_=String).collate("C")
    month_of, day_of = (func.substr(text, place, 2, type_=String).collate("C") for place in (month, day))
    return and_(
        text.like(pattern),
        func.length(digits) == 8,
        _is_digits(digits),
        year_of >= "1000",
        month_of >= "01",
        month_of <= "12",
        or_(
            and_(day_of >= "01", day_of <= "28"),
            and_(day_of.in_(["29", "30"]), month_of != "02"),
            and_(day_of == "31", month_of.in_(LONG_MONTHS)),
        ),
    )


def _is_day(text: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a date exists, on SQLite, which otherwise moves 31 April to 1 May."""
    return func.date(text, "+0 days", type_=String) == text


def _matches(text: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    return text.bool_op("GLOB")(pattern)


def _lacks(text: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    return text.bool_op("NOT GLOB")(pattern)


def is_between(column: ColumnElement[str], low: str, high: str, dialect: str) -> ColumnElement[bool]:
    """Return whether a text lies between two others.

    SQLite computes the operand of a BETWEEN once; on PostgreSQL its grammar does not allow a collation.
    """
    return column.between(low, high) if dialect == "sqlite" else and_(column >= low, column <= high)


def _write_date(text: ColumnElement[str], places: tuple[int, int, int]) -> ColumnElement[str]:
    year, month, day = places
    parts = [func.substr(text, year, 4, type_=String)]
    parts += [func.substr(text, place, 2, type_=String) for place in (month, day)]
    return parts[0] + "-" + parts[1] + "-" + parts[2]


def _is_digits(text: ColumnElement[str]) -> ColumnElement[bool]:
    return func.ltrim(text, DIGITS) == ""


def yes_no_of(key: str) -> ColumnElement[bool | None]:
    """Return whether an attribute says yes; NULL if it says neither yes nor no."""
    word = func.lower(func.trim(text_of(key)))
    return case((word.in_(sorted(YES)), True), (word.in_(sorted(NO)), False))


def _flag(value: bool, dialect: str) -> Any:
    """Return a constant, so that the database can plan with it."""
    return literal_column(str(int(value)) if dialect == "sqlite" else str(value).lower())
