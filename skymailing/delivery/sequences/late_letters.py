"""Skip planned letters of sequences that are late, if their owners want that; otherwise they wait.

A letter is late as a client is in `advancing`: it could have been sent for more than a day. A run contains
the letters of a day, so it is late a day after the end of its day.
"""

from collections.abc import Sequence as Items
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select, update
from sqlalchemy.orm import Session

from skymailing.db.engine import is_in
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.daily_runs import day_of
from skymailing.delivery.eligibility import hours_of, may_send
from skymailing.delivery.ledger import deliveries
from skymailing.delivery.ledger.run_counts import RunKey
from skymailing.delivery.sequences.timing import find_late
from skymailing.models import (
    OPEN_DELIVERY_STATES,
    Delivery,
    DeliveryState,
    Enrolment,
    Mailing,
    MailingKind,
    MailingState,
    OnLate,
    Run,
    RunState,
    SequenceStep,
)

DAY = timedelta(days=1)
# Not those that may have arrived: their owner has decided to send them again.
CAN_BE_SKIPPED = Delivery.unknowns == 0
WAITING = (DeliveryState.PENDING, DeliveryState.DEFERRED)


def may_skip(now: datetime) -> ColumnElement[bool]:
    """Return the condition for runs whose letters are skipped if `is_late` says so.

    While a sequence cannot send, its letters wait: before resuming it, its owner may choose to send them.
    """
    is_old = (Run.state == RunState.SEQUENCE) & (Run.scheduled_for < day_of(now - DAY))
    return is_old & (Mailing.on_late == OnLate.SKIP) & may_send(now)


def is_late(scheduled_for: datetime, hours: SendingHours, now: datetime) -> bool:
    """Return whether the letters of a run could have been sent for more than a day."""
    return day_of(scheduled_for) + DAY <= find_late(hours, now)


def skips(run: Run, mailing: Mailing, now: datetime) -> bool:
    """Return whether the letters of a run are skipped now."""
    if mailing.kind != MailingKind.SEQUENCE or mailing.on_late is not OnLate.SKIP:
        return False
    can_send = mailing.state is MailingState.RUNNING and not mailing.is_disabled
    can_send = can_send and not mailing.owner.is_blocked
    return can_send and is_late(run.scheduled_for, SendingHours.of(mailing), now)


def waits_to_skip(connection: Connection, row: Any, now: datetime) -> bool:
    """Return whether a run that could send has letters to be skipped first.

    The row is that of a run with its mailing's choice, kind and sending hours.
    """
    if row.kind != MailingKind.SEQUENCE or row.on_late is not OnLate.SKIP:
        return False
    if not is_late(row.scheduled_for, hours_of(row), now):
        return False
    waiting = select(Delivery.id).where(Delivery.run_id == row.id, Delivery.state.in_(WAITING))
    return connection.scalar(waiting.where(CAN_BE_SKIPPED).limit(1)) is not None


def skip(session: Session, key: RunKey, now: datetime) -> int:
    """Close a batch of a run's unsent letters, and count them as skipped; return how many."""
    count = deliveries.close_waiting(session.connection(), key, DeliveryState.EXPIRED, now, CAN_BE_SKIPPED)
    skipped = update(SequenceStep).where(SequenceStep.mailing_id == key.mailing_id)
    session.connection().execute(skipped.values(skipped=SequenceStep.skipped + count))
    return count


def find_behind(session: Session, step: SequenceStep, ids: Items[int], first_due: datetime) -> list[int]:
    """Return those of the enrolments, due for a step, whose letter before it was or will be sent later.

    `first_due` is when the first of them was due.
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
