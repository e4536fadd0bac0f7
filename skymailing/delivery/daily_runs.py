"""The days of daily runs, to which transactional letters and letters of sequences are added."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement

from skymailing.models import DAILY_KINDS, DAILY_RUN_STATES, LETTER_RUN_STATES, Mailing, Run

DAY = timedelta(days=1)
# How long after the end of its day a transactional letter expires. Letters of sequences wait until they can
# be sent or are skipped; see `lateness`.
PATIENCE = timedelta(days=3)
# The maximum age of sequences' letters that owners can resend.
SEQUENCE_PATIENCE = timedelta(days=8)


def has_daily_runs(mailing: Mailing) -> bool:
    """Return whether a mailing has a run for each day, to which letters are added until the day is over."""
    return mailing.kind in DAILY_KINDS


def day_of(moment: datetime) -> datetime:
    """Return the beginning of the day, in UTC, whose run contains the letters accepted at this time."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def is_day_over(scheduled_for: datetime, now: datetime) -> bool:
    """Return whether no more letters are added to a run."""
    return day_of(scheduled_for) < day_of(now)


def expires_at(scheduled_for: datetime) -> datetime:
    """Return when the transactional letters of a run expire."""
    return day_of(scheduled_for) + DAY + PATIENCE


def may_get_letters(now: datetime) -> ColumnElement[bool]:
    """Return the condition that letters may still be added to a run."""
    return Run.state.in_(DAILY_RUN_STATES) & (Run.scheduled_for >= day_of(now))


def is_expired(now: datetime) -> ColumnElement[bool]:
    """Return the condition that the transactional letters of a run have waited too long."""
    return Run.state.in_(LETTER_RUN_STATES) & (Run.scheduled_for < day_of(now - PATIENCE))
