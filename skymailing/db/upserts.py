"""INSERT ... ON CONFLICT statements that are compiled once.

SQLAlchemy 2.0 gives these statements no cache key (`inherit_cache = False` in its dialects), so it compiles
them each time they are executed. For a few rows, that takes longer than the database needs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Compiled, Connection, CursorResult
from sqlalchemy.dialects import postgresql, sqlite

Insert = postgresql.Insert | sqlite.Insert


class Upsert:
    """An INSERT, built by `make` without values; `make` may depend only on the kind of database.

    `returning` is the column, or a tuple of columns, whose value is returned.
    """

    def __init__(self, make: Callable[[], Insert], returning: Any = None) -> None:
        self._make = make
        self._returning = returning
        self._compiled: dict[tuple[str, ...], Compiled] = {}

    def execute(
        self, connection: Connection, rows: Sequence[Mapping[str, object]], **parameters: object
    ) -> CursorResult[Any]:
        """Insert rows with the same columns; values are returned only for a single row.

        `parameters` are the values of the statement's `bindparam`s.
        """
        columns = list(rows[0])
        dialect = connection.dialect
        key = (dialect.name, *columns)
        if key not in self._compiled:
            # Without inline(), a single row's key would be returned, which is impossible for several rows.
            statement = self._make().inline()
            columns_back = self._returning if isinstance(self._returning, tuple) else (self._returning,)
            returned = statement if self._returning is None else statement.returning(*columns_back)
            self._compiled[key] = returned.compile(dialect=dialect, column_keys=columns)
        # `execute` also accepts compiled statements, although its type does not say so.
        values = [{**row, **parameters} for row in rows] if parameters else rows
        return connection.execute(self._compiled[key], values)  # type: ignore[call-overload, no-any-return]
