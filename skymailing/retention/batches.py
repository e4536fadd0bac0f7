"""Small steps: each a transaction of its own over few rows, with a breath for others between them."""

import time

from sqlalchemy import Connection, delete, select

from skymailing import counters
from skymailing.db.engine import is_one_of, let_others_write
from skymailing.extensions import db
from skymailing.models import Attempt, Bounce, Delivery

BATCH = 1000  # rows of one step: some 20 ms, in which on SQLite nobody else can write


class Allowance:
    """How long a lot of steps may take together; others get their turn between any two."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.removed: dict[str, int] = {}
        self._begun = self._last = time.monotonic()

    @property
    def is_used_up(self) -> bool:
        return time.monotonic() - self._begun >= self.seconds

    def note(self, kind: str, rows: int) -> None:
        """Count what a step removed, and rest for as long as it took."""
        if not rows:
            return
        self.removed[kind] = self.removed.get(kind, 0) + rows
        let_others_write(time.monotonic() - self._last)
        self._last = time.monotonic()

    def tell(self) -> None:
        """Add what was removed to the numbers of /metrics."""
        if self.removed:
            counters.add({f"removed:{kind}": rows for kind, rows in self.removed.items()})


def remove_letters(run_id: int) -> tuple[int, int]:
    """Remove some letters of a run with their attempts; return how many of each, none when none is left."""
    with db.engine.connect() as connection, connection.begin():
        return remove_letters_in(connection, run_id)


def remove_letters_in(connection: Connection, run_id: int) -> tuple[int, int]:
    """Do the same in the caller's transaction."""
    ids = connection.scalars(select(Delivery.id).where(Delivery.run_id == run_id).limit(BATCH)).all()
    if not ids:
        return 0, 0
    # Attempts first, so that no foreign key has to look for them row by row.
    given = {"ids": list(ids)}
    of_them = delete(Attempt).where(is_one_of(Attempt.delivery_id, "ids"))
    attempts = connection.execute(of_them, given).rowcount
    connection.execute(delete(Bounce).where(Bounce.delivery_id.in_(ids)))
    connection.execute(delete(Delivery).where(is_one_of(Delivery.id, "ids")), given)
    return len(ids), attempts
