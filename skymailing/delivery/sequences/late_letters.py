"""Skip planned letters of sequences that are late, and find the clients who get such letters only now."""

from collections.abc import Sequence as Items
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from skymailing.db.engine import is_in
from skymailing.delivery.lateness import CAN_BE_SKIPPED
from skymailing.delivery.ledger import deliveries
from skymailing.delivery.ledger.run_counts import RunKey
from skymailing.models import (
    OPEN_DELIVERY_STATES,
    Delivery,
    DeliveryState,
    Enrolment,
    Run,
    SequenceStep,
)


def skip(session: Session, key: RunKey, now: datetime) -> int:
    """Close a batch of a run's unsent letters, and count them as skipped; return how many."""
    count = deliveries.close_waiting(session.connection(), key, DeliveryState.EXPIRED, now, CAN_BE_SKIPPED)
    skipped = update(SequenceStep).where(SequenceStep.mailing_id == key.mailing_id)
    session.connection().execute(skipped.values(skipped=SequenceStep.skipped + count))
    return count


def find_behind(session: Session, step: SequenceStep, ids: Items[int], first_due: datetime) -> list[int]:
    """Return the enrolments, of those due for a step, whose previous letter was or will be sent later.

    `first_due` is the time when the first of them was due.
    """
    others = select(SequenceStep.mailing_id).where(
        SequenceStep.sequence_id == step.sequence_id, SequenceStep.id != step.id
    )
    recent = or_(Run.finished_at.is_(None), Run.finished_at > first_due)
    runs = select(Run.id).where(Run.mailing_id.in_(others), recent)
    was_sent = (Delivery.state == DeliveryState.SENT) & (Delivery.finished_at > Enrolment.due_at)
    behind = select(Enrolment.id).join(Delivery, Delivery.client_id == Enrolment.client_id)
    behind = behind.where(is_in(Enrolment.id, ids), Delivery.run_id.in_(runs))
    behind = behind.where(or_(Delivery.state.in_(OPEN_DELIVERY_STATES), was_sent))
    return list(session.scalars(behind.distinct()))
