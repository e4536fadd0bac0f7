"""Plan only as many letters of a step as its owner's limits allow soon: unsent letters may be skipped."""

from datetime import datetime

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from skymailing.delivery.sequences.entering import BATCH
from skymailing.models import Delivery, DeliveryState, Run, RunState, SequenceStep, User
from skymailing.quotas import letters

UNSENT = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DEFERRED)


def count_allowed(session: Session, owner: User, step: SequenceStep, now: datetime) -> int:
    """Return how many clients may be processed: the smallest limit minus the unsent letters.

    The others remain due, and are processed when these letters have been sent.
    """
    limits = [limit for limit in letters.list_limits() if not limit.is_for_new or letters.is_new(owner, now)]
    if not limits or step.removed_at is not None:
        return BATCH
    lowest = min(limit.count for limit in limits)
    is_open = (Run.mailing_id == step.mailing_id) & (Run.state == RunState.SEQUENCE)
    unsent = select(literal(1)).select_from(Delivery).join(Run, Run.id == Delivery.run_id)
    some = unsent.where(is_open, Delivery.state.in_(UNSENT)).limit(lowest).subquery()
    return min(BATCH, lowest - (session.scalar(select(func.count()).select_from(some)) or 0))
