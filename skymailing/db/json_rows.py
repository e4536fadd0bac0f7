"""Pass many rows to a statement as one JSON parameter.

Binding the values of a row takes SQLAlchemy and psycopg longer than it takes a database to write the row.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import FromClause, cast, column, func, literal, select
from sqlalchemy.dialects.postgresql import JSON

from skymailing.db.text_search import is_sqlite


def list_rows(rows: Sequence[Sequence[Any]], **columns: Any) -> FromClause:
    """Return the rows as a FROM clause named "given"; `columns` are the names and types of their columns."""
    return read_rows(write_rows(rows, columns), columns)


def write_rows(rows: Sequence[Sequence[Any]], columns: Mapping[str, Any]) -> str:
    """Return the rows as JSON for `read_rows`. Any thread can call this, because it needs no database."""
    objects = [dict(zip(columns, row, strict=True)) for row in rows]
    return json.dumps(objects, ensure_ascii=False, separators=(",", ":"))


def read_rows(document: str, columns: Mapping[str, Any]) -> FromClause:
    """Return a FROM clause named "given" with the rows that `write_rows` wrote."""
    if is_sqlite():
        each = func.json_each(document).table_valued("value", name="each")
        found = (func.json_extract(each.c.value, f"$.{name}").label(name) for name in columns)
        return select(*found).subquery("given")
    typed = [column(name, type_) for name, type_ in columns.items()]
    given = func.json_to_recordset(cast(literal(document), JSON)).table_valued(*typed, name="given")
    return given.render_derived(with_types=True)
