"""Let folds take turns with each other, and with transactions that must not overlap with a fold."""

from datetime import datetime

from sqlalchemy import Connection

from skymailing.db.engine import insert_into
from skymailing.models import HitFold

TURN = "turn"  # a row that each transaction locks, since it reads counts before it changes them


def take_turn(connection: Connection, now: datetime) -> None:
    """Wait for the fold that is being stored; other folds wait until the caller's transaction ends."""
    lock_row(connection, TURN, now)


def lock_row(connection: Connection, name: str, now: datetime) -> None:
    """Lock the row of a fold, adding it if it is new."""
    added = insert_into(HitFold).values(name=name, done=0, folded_at=now)
    connection.execute(added.on_conflict_do_update(index_elements=["name"], set_={"folded_at": now}))
