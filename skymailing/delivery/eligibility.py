"""Define which mailings may start or send now, for the engine, the scheduler and the metrics.

The conditions refer to Mailing and its owner, so a statement that uses them must join User.
"""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, exists, func, not_, true

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.models import Mailing, MailingState, Periodicity, Run, RunState, User

# The columns that `hours_of` reads.
HOURS = (Mailing.weekdays, Mailing.opens_at, Mailing.closes_at, User.timezone)
# The columns that `is_open` reads.
RUN_HOURS = (*HOURS, Run.is_local_time)
# How far a client's local time can be ahead of the owner's: from UTC-12 to UTC+14, plus a clock change.
LEAD = timedelta(hours=27)


def is_allowed() -> ColumnElement[bool]:
    """Return the condition that the mailing is not disabled and its owner is not blocked."""
    return Mailing.disabled_at.is_(None) & User.blocked_at.is_(None)


def is_unfinished() -> ColumnElement[bool]:
    """Return the condition that the mailing may still start or send."""
    return Mailing.state.not_in((MailingState.FINISHED, MailingState.CANCELLED))


def can_be_extended() -> ColumnElement[bool]:
    """Return the condition that the mailing is finished, but starts again if its owner extends it."""
    has_run = exists().where(Run.mailing_id == Mailing.id, Run.state != RunState.SKIPPED)
    return (Mailing.state == MailingState.FINISHED) & (
        (Mailing.periodicity != Periodicity.ONCE) | not_(has_run)
    )


def may_start(now: datetime) -> ColumnElement[bool]:
    """Return the condition that the mailing's next run is due, or may be due in its clients' time zones."""
    is_checked = func.coalesce(Mailing.zones_checked_until <= now, true())
    is_early = Mailing.is_local_time & is_checked
    is_due = (Mailing.next_run_at <= now + LEAD) & ((Mailing.next_run_at <= now) | is_early)
    return (Mailing.state == MailingState.SCHEDULED) & is_due & is_allowed()


def may_send(now: datetime) -> ColumnElement[bool]:
    """Return the condition that the mailing may send, if its sending hours allow it."""
    return (Mailing.state == MailingState.RUNNING) & (Mailing.ends_at > now) & is_allowed()


def hours_of(row: Any) -> SendingHours:
    """Return the sending hours from a row with the columns HOURS."""
    return SendingHours(row.weekdays, row.opens_at, row.closes_at, ZoneInfo(row.timezone))


def is_open(row: Any, now: datetime) -> bool:
    """Return whether the run of a row with the columns RUN_HOURS is within its sending hours.

    At local time, the hours apply in each client's time zone, so they are checked for each letter.
    """
    return row.is_local_time or hours_of(row).is_open(now)
