"""Count what happens after letters were sent: in the intervals of their runs, and in the runs themselves."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import BigInteger, Connection, bindparam, update

from skymailing.delivery.ledger.run_counts import Changes, run_keys
from skymailing.models import LATER_COUNTS, Run


def add_later_counts(connection: Connection, totals: Mapping[int, Mapping[str, int]], at: datetime) -> None:
    """Add to runs' counts, by run ID and name; call it last: rows stay locked until the commit."""
    if not totals:
        return
    for run in run_keys(connection, sorted(totals)):
        changes = Changes(run, is_shared=True)
        for name, count in totals[run.id].items():
            changes.add(name, count, at)
        changes.write(connection)
    # Update runs after their intervals, as workers do; otherwise, recounting a run that is ending could
    # deadlock.
    columns = {name: Run.__table__.c[name] for name in LATER_COUNTS}
    increase = update(Run).where(Run.id == bindparam("run"))
    connection.execute(
        increase.values(
            {name: column + bindparam(f"more_{name}", type_=BigInteger) for name, column in columns.items()}
        ),
        [
            {"run": run_id} | {f"more_{name}": total.get(name, 0) for name in LATER_COUNTS}
            for run_id, total in sorted(totals.items())
        ],
    )
