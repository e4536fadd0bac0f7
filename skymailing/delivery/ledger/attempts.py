"""Insert the attempts of a window with as few statements as the database allows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, String, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from skymailing.db.engine import insert_into, is_one_of
from skymailing.delivery.ledger.open_runs import OpenRun
from skymailing.delivery.retry import OUTCOMES, Series
from skymailing.delivery.smtp.session import Result
from skymailing.models import Attempt, Outcome

# The columns that differ between the attempts of a window, and their types.
VARYING_COLUMNS: dict[str, Any] = {
    "delivery_id": BigInteger,
    "number": Integer,
    "outcome": String,
    "code": Integer,
    "answer": String,
}


def insert_attempts(
    connection: Connection, run: OpenRun, results: Sequence[Result], route: str, now: datetime
) -> None:
    """Insert one attempt per result; a result that a journal repeats is inserted only once."""
    shared_values = {
        "run_id": run.id,
        "mailing_id": run.mailing_id,
        "owner_id": run.counted_owner_id,
        "at": now,
        "route": route,
    }
    if connection.dialect.name == "postgresql":
        _insert_arrays(connection, results, shared_values)
        return
    connection.execute(
        insert_into(Attempt).on_conflict_do_nothing(),
        [dict(zip(VARYING_COLUMNS, _make_values(result), strict=True)) | shared_values for result in results],
    )


def find_series(connection: Connection, results: Sequence[Result], now: datetime) -> dict[int, Series]:
    """Return the series of attempts to which each result belongs, by delivery.

    A failed attempt ends a series: the next attempt is a resend by the owner.
    """
    if not results:
        return {}
    series = {result.letter.delivery_id: Series(1, now) for result in results}
    earlier = (
        select(Attempt.delivery_id, Attempt.outcome, Attempt.at)
        .where(is_one_of(Attempt.delivery_id, "ids"))
        .order_by(Attempt.delivery_id, Attempt.number.desc())
    )
    ended: set[int] = set()
    for id, outcome, at in connection.execute(earlier, {"ids": list(series)}).tuples():
        if outcome is Outcome.FAILED:
            ended.add(id)
        elif id not in ended:
            series[id] = Series(series[id].count + 1, at)
    return series


def _insert_arrays(connection: Connection, results: Sequence[Result], shared_values: dict[str, Any]) -> None:
    """Insert with one array per column, because one statement per row takes twice as long on PostgreSQL."""
    arrays = [bindparam(f"{name}_array", type_=ARRAY(type_)) for name, type_ in VARYING_COLUMNS.items()]
    rows = func.unnest(*arrays).table_valued(*VARYING_COLUMNS).render_derived()
    constants = [bindparam(name, type_=Attempt.__table__.c[name].type) for name in shared_values]
    statement = insert_into(Attempt).from_select(
        [*VARYING_COLUMNS, *shared_values], select(*rows.c, *constants)
    )
    columns = zip(*map(_make_values, results), strict=True)
    values = {f"{name}_array": list(column) for name, column in zip(VARYING_COLUMNS, columns, strict=True)}
    connection.execute(statement.on_conflict_do_nothing(), values | shared_values)


def _make_values(result: Result) -> tuple[int, int, str, int | None, str]:
    letter = result.letter
    return letter.delivery_id, letter.number, OUTCOMES[result.verdict].value, result.code, result.answer
