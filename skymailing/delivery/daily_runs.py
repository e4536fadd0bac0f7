"""The days of runs that get more letters: transactional letters, and the letters of sequences."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement

from skymailing.models import DAILY_KINDS, DAILY_RUN_STATES, LETTER_RUN_STATES, Mailing, Run

DAY = timedelta(days=1)
# How long after the end of its day a transactional letter may still be sent, before it expires. Letters of
# sequences wait until they can be sent, or are skipped: see `lateness`.
PATIENCE = timedelta(days=3)
# How old letters of sequences may be that their owner sends again.
SEQUENCE_PATIENCE = timedelta(days=8)


def has_daily_runs(mailing: Mailing) -> bool:
    """Return whether a mailing has a run for each day, which gets more letters until the day is over."""
    return mailing.kind in DAILY_KINDS


def day_of(moment: datetime) -> datetime:
    """Return the beginning of the day, in UTC, whose run contains the letters accepted at this time."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def is_day_over(scheduled_for: datetime, now: datetime) -> bool:
    """Return whether a run gets no more letters."""
    return day_of(scheduled_for) < day_of(now)


def expires_at(scheduled_for: datetime) -> datetime:
    """Return when the transactional letters of a run expire."""
    return day_of(scheduled_for) + DAY + PATIENCE


def may_get_letters(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a run may get more letters today."""
    return Run.state.in_(DAILY_RUN_STATES) & (Run.scheduled_for >= day_of(now))


def is_expired(now: datetime) -> ColumnElement[bool]:
    """Return the condition that the transactional letters of a run have waited too long."""
    return Run.state.in_(LETTER_RUN_STATES) & (Run.scheduled_for < day_of(now - PATIENCE))
