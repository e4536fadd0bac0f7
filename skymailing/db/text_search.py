"""Compare texts without regard to case, on both databases."""

from sqlalchemy import ColumnElement, SQLColumnExpression, func

from skymailing.extensions import db

SPECIAL = "*?["  # in a GLOB pattern


def equals_text(column: SQLColumnExpression[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a column equals a text."""
    if db.engine.dialect.name == "sqlite":
        return column.op("GLOB")(glob_pattern(text))
    return func.lower(column) == text.lower()


def starts_with_text(column: SQLColumnExpression[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a column starts with a text."""
    if db.engine.dialect.name == "sqlite":
        return column.op("GLOB")(glob_pattern(text) + "*")
    return func.lower(column).startswith(text.lower(), autoescape=True)


def contains_text(column: SQLColumnExpression[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a column contains a text."""
    if db.engine.dialect.name == "sqlite":
        return column.op("GLOB")(f"*{glob_pattern(text)}*")
    return func.lower(column).contains(text.lower(), autoescape=True)


def glob_pattern(text: str) -> str:
    """Return a pattern for SQLite's GLOB that matches the text in upper and lower case.

    SQLite's LIKE and lower() know the case of ASCII letters only, and calling Python for each row takes
    twenty times longer.
    """
    return "".join(map(_match_char, text))


def _match_char(char: str) -> str:
    cases = sorted({char, char.lower(), char.upper()} - {""})
    cases = [case for case in cases if len(case) == 1]
    return f"[{''.join(cases)}]" if len(cases) > 1 or char in SPECIAL else char
