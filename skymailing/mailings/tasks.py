"""Add due daily summaries and notices about paused mailings to the outbox, each in its own transaction."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.mailings import summaries
from skymailing.models import Reputation, User
from skymailing.outbox import services as outbox

BATCH = 100  # letters of a kind per sweep; the next sweep is seconds away


def post_due_summaries(now: datetime) -> int:
    """Add due summaries to the outbox; return how many."""
    due = select(User.id).where(User.next_summary_at <= now).order_by(User.next_summary_at).limit(BATCH)
    ids = db.session.scalars(due).all()
    db.session.rollback()
    return sum(_post_one(user_id, now) for user_id in ids)


def _post_one(user_id: int, now: datetime) -> bool:
    """Return whether a summary was added to the outbox."""
    user = db.session.scalar(
        select(User).where(User.id == user_id).with_for_update(skip_locked=True, of=User),
        execution_options={"populate_existing": True},
    )
    hour = user.summary_hour if user else None
    if user is None or hour is None or user.next_summary_at is None or user.next_summary_at > now:
        db.session.rollback()
        return False
    zone = ZoneInfo(user.timezone)
    user.next_summary_at = summaries.find_next_time(hour, zone, now)
    # After a long downtime the summary covers only the latest day.
    until = summaries.find_previous_day(hour, zone, user.next_summary_at)
    since = summaries.find_previous_day(hour, zone, until)
    values = summaries.summarize(user, since, until) if user.is_active else None
    if values:
        outbox.add_letter(user, "daily-summary", **values)
    db.session.commit()
    return bool(values)


def post_pause_notices() -> int:
    """Add due notices of pauses (after bounces or complaints) to the outbox; return how many."""
    due = select(Reputation.owner_id).where(Reputation.is_notice_due).limit(BATCH)
    ids = db.session.scalars(due).all()
    db.session.rollback()
    return sum(map(_post_notice, ids))


def _post_notice(owner_id: int) -> bool:
    """Return whether a notice was added to the outbox."""
    reputation = db.session.scalar(
        select(Reputation).where(Reputation.owner_id == owner_id).with_for_update(skip_locked=True),
        execution_options={"populate_existing": True},
    )
    if reputation is None or not reputation.is_notice_due:
        db.session.rollback()
        return False
    reputation.is_notice_due = False
    user = db.session.get_one(User, owner_id)
    if user.is_active:
        reason, _colon, share = reputation.pause_reason.partition(": ")
        count, _slash, letters = share.partition("/")
        outbox.add_letter(user, "mailings-paused", reason=reason, count=count, letters=letters)
    db.session.commit()
    return user.is_active
