"""Decide which planned letters of sequences are late, and are skipped if their owner has chosen that.

As for clients in `sequences.advancing`, a letter is late if it could have been sent for more than a day. A
run contains the letters of a day, so it is late a day after the end of its day.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.daily_runs import day_of
from skymailing.delivery.eligibility import hours_of, may_send
from skymailing.models import (
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
    OnLate,
    Run,
    RunState,
)

DAY = timedelta(days=1)
LATE_AFTER = DAY
# Letters that may have arrived are not skipped, because their owner has decided to send them again.
CAN_BE_SKIPPED = Delivery.unknowns == 0
WAITING = (DeliveryState.PENDING, DeliveryState.DEFERRED)


def find_late(hours: SendingHours, now: datetime) -> datetime:
    """Return the time limit for late letters: those due before it could have been sent a day ago.

    Hours in which nothing may be sent do not count.
    """
    limit = now - LATE_AFTER
    if hours.is_open(limit):
        return limit
    return hours.find_last_closing(limit) or limit


def may_skip(now: datetime) -> ColumnElement[bool]:
    """Return the condition for runs whose letters are skipped if `is_late` is true for them.

    While a sequence cannot send, its letters wait, so that its owner can choose to send them before resuming
    it.
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
