"""SQL expressions for the numbers, dates and words in clients' attributes.

They give the same values as `delivery.rendering.values.Habits`. PostgreSQL has the functions from the
migration 0025; SQLite gets them here, in Python.
"""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from sqlalchemy import ColumnElement, Float, and_, case, cast, event, func, literal_column

from skymailing.delivery.rendering.values import NO, YES, Habits
from skymailing.extensions import db
from skymailing.models import Client

# Texts that are recognized without a call of a function, which takes much longer.
PLAIN_NUMBER = r"^[0-9]{1,15}$"
PLAIN_DATE = r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$"
PLAIN_DATE_PATTERN = re.compile(PLAIN_DATE)
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
    if PLAIN_DATE_PATTERN.match(text):
        return text
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
    """Return the number in an attribute; NULL if it is missing or no number."""
    text = text_of(key)
    if dialect == "sqlite":
        is_plain = and_(text.op("NOT GLOB")("*[^0-9]*"), func.length(text).between(1, 15))
    else:
        is_plain = text.regexp_match(PLAIN_NUMBER)
    # A CASE, as a cast beside a condition may be evaluated for every row.
    return case(
        (is_plain, cast(text, Float(53))),
        else_=func.attribute_number(text, _flag(habits.has_decimal_comma, dialect), type_=Float()),
    )


def date_of(key: str, habits: Habits, dialect: str) -> ColumnElement[str]:
    """Return the date in an attribute as YYYY-MM-DD; NULL if it is missing or no date."""
    text = text_of(key)
    found = func.attribute_date(text, _flag(habits.is_day_first, dialect))
    if dialect == "sqlite":
        return found
    # Compared byte by byte, as the order of dates is that of their characters.
    return case((text.regexp_match(PLAIN_DATE), text), else_=found).collate("C")


def yes_no_of(key: str) -> ColumnElement[bool | None]:
    """Return whether an attribute says yes; NULL if it says neither yes nor no."""
    word = func.lower(func.trim(text_of(key)))
    return case((word.in_(sorted(YES)), True), (word.in_(sorted(NO)), False))


def _flag(value: bool, dialect: str) -> Any:
    """Return a constant, so that the database can plan with it."""
    return literal_column(str(int(value)) if dialect == "sqlite" else str(value).lower())
