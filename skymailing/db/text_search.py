"""Compare strings case-insensitively, on both databases."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, SQLColumnExpression, func, or_

from skymailing.extensions import db

SPECIAL = "*?["  # in a GLOB pattern
MAX_COMPARED_ONE_BY_ONE = 4  # up to this many values, comparing with each is faster than calling Python


def equals_text(column: SQLColumnExpression[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a column equals `text`."""
    if is_sqlite():
        return column.op("GLOB")(make_glob_pattern(text))
    # The database lowercases both sides, because it treats some letters differently from Python.
    return func.lower(column) == func.lower(text)


def is_one_of_texts(column: SQLColumnExpression[str], texts: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a column equals one of `texts`."""
    if not is_sqlite():
        return func.lower(column).in_([func.lower(text) for text in texts])
    if len(texts) <= MAX_COMPARED_ONE_BY_ONE:
        return or_(*(equals_text(column, text) for text in texts)).self_group()
    return func.lower(column).in_([text.lower() for text in texts])


def starts_with_text(column: SQLColumnExpression[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a column starts with `text`."""
    if is_sqlite():
        return column.op("GLOB")(make_glob_pattern(text) + "*")
    return func.lower(column).like(func.lower(escape_like(text) + "%"), escape="/")


def contains_text(column: SQLColumnExpression[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a column contains `text`."""
    if is_sqlite():
        return column.op("GLOB")(f"*{make_glob_pattern(text)}*")
    return func.lower(column).like(func.lower(f"%{escape_like(text)}%"), escape="/")


def is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"


def escape_like(text: str) -> str:
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


def make_glob_pattern(text: str) -> str:
    """Return a pattern for SQLite's GLOB that matches `text` in upper and lower case.

    SQLite's LIKE and lower() only handle the case of ASCII letters, and calling Python for each row takes ten
    times longer.
    """
    return "".join(map(_match_char, text))


def _match_char(char: str) -> str:
    cases = sorted(case for case in {char, char.lower(), char.upper()} if len(case) == 1)
    return f"[{''.join(cases)}]" if len(cases) > 1 or char in SPECIAL else char
