"""Add due daily summaries to the outbox, each in its own transaction."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.mailings import summaries
from skymailing.models import User
from skymailing.outbox import services as outbox

BATCH = 100  # summaries per sweep; the next sweep is seconds away


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
    user.next_summary_at = summaries.next_time(hour, zone, now)
    # After a long downtime the summary covers only the latest day.
    until = summaries.same_hour_previous_day(hour, zone, user.next_summary_at)
    since = summaries.same_hour_previous_day(hour, zone, until)
    values = summaries.summarize(user, since, until) if user.is_active else None
    if values:
        outbox.add_letter(user, "daily-summary", **values)
    db.session.commit()
    return bool(values)
