"""Count the letters that mail servers accept by owner and hour, for the panel, which adds up all letters.

The intervals of runs are too many for that. They also cannot say how many letters of an hour were delivered,
because they count a return when it happens.
"""

from datetime import datetime

from sqlalchemy import Connection

from skymailing.delivery.ledger.run_counts import Changes, get_own_row
from skymailing.models import NO_OWNER, DeliveryState, UsageKind
from skymailing.quotas import counting


def count_accepted(connection: Connection, changes: Changes, now: datetime) -> None:
    """Count the letters that have been accepted `now` according to the changes to a run's counts.

    Like those counts, they are in a row of this process, which is locked until the commit, so call this last.
    """
    count, owner_id = changes.total(DeliveryState.SENT.value), changes.run.owner_id
    if count and owner_id != NO_OWNER:  # no owner's counts include what test keys sent
        begins_at = get_own_row(counting.hour_of(now))
        counting.add_at(connection, owner_id, UsageKind.ACCEPTED, count, begins_at)
