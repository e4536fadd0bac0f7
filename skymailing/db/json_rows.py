"""Pass many rows to a statement as one JSON parameter.

Binding the values of a row takes SQLAlchemy and psycopg longer than it takes a database to write the row.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import FromClause, cast, column, func, literal, select
from sqlalchemy.dialects.postgresql import JSON

from skymailing.db.text_search import is_sqlite


def list_rows(rows: Sequence[Sequence[Any]], **types: Any) -> FromClause:
    """Return the rows as a FROM clause named "given"; `types` are the names and types of their columns."""
    if is_sqlite():
        each = func.json_each(_write(rows)).table_valued("value", name="each")
        columns = (func.json_extract(each.c.value, f"$[{index}]") for index in range(len(types)))
        return select(*(found.label(name) for found, name in zip(columns, types, strict=True))).subquery(
            "given"
        )
    document = literal(_write([dict(zip(types, row, strict=True)) for row in rows]))
    typed = [column(name, type_) for name, type_ in types.items()]
    given = func.json_to_recordset(cast(document, JSON)).table_valued(*typed, name="given")
    return given.render_derived(with_types=True)


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
