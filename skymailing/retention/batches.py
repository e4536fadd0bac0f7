"""Delete rows in small batches, each in its own transaction and followed by a pause."""

import time
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, delete, exists, select

from skymailing import counters
from skymailing.clock import utcnow
from skymailing.db.engine import StopCheck, is_one_of, let_others_write
from skymailing.extensions import db
from skymailing.models import Attempt, Bounce, Click, Delivery, Engagement, LetterContent, TransactionalLetter

BATCH = 1000  # rows per batch: about 20 ms, during which SQLite accepts no other writes
UNUSED_CONTENT_RETENTION = timedelta(days=1)


class TimeBudget:
    """The time limit for a series of batches, and the number of rows that they have removed."""

    def __init__(
        self, seconds: float, removed: dict[str, int] | None = None, should_stop: StopCheck | None = None
    ) -> None:
        self.seconds = seconds
        self.removed: dict[str, int] = {} if removed is None else removed
        self._should_stop = should_stop or (lambda _elapsed: False)
        self._started_at = self._last = time.monotonic()

    @property
    def is_used_up(self) -> bool:
        elapsed = time.monotonic() - self._started_at
        return elapsed >= self.seconds or self._should_stop(elapsed)

    def share(self, parts: int) -> "TimeBudget":
        """Return a budget with an equal share of the time that is left, for the next of `parts` parts."""
        elapsed = time.monotonic() - self._started_at
        return TimeBudget(
            max(0, self.seconds - elapsed) / parts,
            self.removed,
            lambda since: self._should_stop(elapsed + since),
        )

    def record(self, kind: str, rows: int) -> None:
        """Count the rows that a batch removed, and pause for as long as it took."""
        if not rows:
            return
        self.removed[kind] = self.removed.get(kind, 0) + rows
        let_others_write(time.monotonic() - self._last)
        self._last = time.monotonic()

    def publish(self) -> None:
        """Add the removed rows to the counters of /metrics."""
        if self.removed:
            counters.add({f"removed:{kind}": rows for kind, rows in self.removed.items()})


def remove_letters(run_id: int) -> tuple[int, int]:
    """Remove a batch of a run's deliveries with their attempts; return both counts, zero if none are left."""
    with db.engine.connect() as connection, connection.begin():
        return remove_letters_in(connection, run_id)


def remove_letters_in(connection: Connection, run_id: int) -> tuple[int, int]:
    """Do the same as `remove_letters` in the caller's transaction."""
    ids = connection.scalars(select(Delivery.id).where(Delivery.run_id == run_id).limit(BATCH)).all()
    if not ids:
        return 0, 0
    # Delete attempts first, so that no foreign key has to be checked row by row.
    parameters = {"ids": list(ids)}
    their_attempts = delete(Attempt).where(is_one_of(Attempt.delivery_id, "ids"))
    attempts = connection.execute(their_attempts, parameters).rowcount
    connection.execute(delete(Bounce).where(Bounce.delivery_id.in_(ids)))
    remove_transactional(connection, ids)
    for detail in (Click, Engagement):
        connection.execute(delete(detail).where(is_one_of(detail.delivery_id, "ids")), parameters)
    connection.execute(delete(Delivery).where(is_one_of(Delivery.id, "ids")), parameters)
    return len(ids), attempts


def remove_transactional(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """Remove the rows that only transactional letters have, and contents that no letter uses any longer."""
    letter, content = TransactionalLetter, LetterContent
    statement = delete(letter).where(is_one_of(letter.delivery_id, "ids")).returning(letter.content_id)
    used = set(connection.scalars(statement, {"ids": list(delivery_ids)}))
    if used:
        # A request that adds a letter updates `used_at` first, so its content is not removed here.
        is_old = content.used_at < utcnow() - UNUSED_CONTENT_RETENTION
        is_used = exists().where(letter.content_id == content.id)
        unused = delete(content).where(is_one_of(content.id, "contents"), is_old, ~is_used)
        connection.execute(unused, {"contents": sorted(used)})
