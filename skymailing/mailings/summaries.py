"""The daily summary by e-mail: what was sent for a user in the last day."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from skymailing.extensions import db
from skymailing.models import Mailing, RunInterval, User
from skymailing.outbox import services as outbox

BATCH = 100  # summaries per sweep; the next sweep is seconds away
MAILINGS_NAMED = 20
NUMBERS = ("attempts", "sent", "failed", "unknown", "expired")  # no summary without any of them


def choose_summary_hour(user: User, hour: int | None, now: datetime) -> None:
    """Send the user a summary each day at this local hour, or none; call again if their zone changes."""
    user.summary_hour = hour
    if hour is None:
        user.next_summary_at = None
    elif user.next_summary_at is None or user.next_summary_at > now:  # one that is due will still be sent
        user.next_summary_at = _next_time(hour, ZoneInfo(user.timezone), now)


def post_due_summaries(now: datetime) -> int:
    """Put the summaries that are due into the outbox; return how many. Commits after each."""
    due = select(User.id).where(User.next_summary_at <= now).order_by(User.next_summary_at).limit(BATCH)
    ids = db.session.scalars(due).all()
    db.session.rollback()
    return sum(_post_one(user_id, now) for user_id in ids)


def _post_one(user_id: int, now: datetime) -> bool:
    user = db.session.scalar(
        select(User).where(User.id == user_id).with_for_update(skip_locked=True, of=User),
        execution_options={"populate_existing": True},
    )
    hour = user.summary_hour if user else None
    if user is None or hour is None or user.next_summary_at is None or user.next_summary_at > now:
        db.session.rollback()
        return False
    zone = ZoneInfo(user.timezone)
    user.next_summary_at = _next_time(hour, zone, now)
    # After a long downtime the summary covers only the latest day.
    until = _time_before(hour, zone, user.next_summary_at)
    values = summarize(user, _time_before(hour, zone, until), until) if user.is_active else None
    if values:
        outbox.post(user, "daily-summary", **values)
    db.session.commit()
    return bool(values)


def summarize(user: User, since: datetime, until: datetime) -> dict[str, Any] | None:
    """Return the values for the summary's template; None if no letters were sent."""
    sums = [func.sum(RunInterval.__table__.c[name]) for name in NUMBERS]
    statement = (
        select(RunInterval.mailing_id, Mailing.name, *sums)
        .join(Mailing, Mailing.id == RunInterval.mailing_id)
        .where(RunInterval.owner_id == user.id, RunInterval.begins_at >= since, RunInterval.begins_at < until)
        .group_by(RunInterval.mailing_id, Mailing.name)
        .order_by(RunInterval.mailing_id)
    )
    rows = []
    for mailing_id, name, *counts in db.session.execute(statement):
        numbers = dict(zip(NUMBERS, map(int, counts), strict=True))
        if any(numbers.values()):
            rows.append({"id": mailing_id, "name": name} | numbers)
    if not rows:
        return None
    zone = ZoneInfo(user.timezone)
    return {
        "since": f"{since.astimezone(zone):%Y-%m-%d %H:%M}",
        "until": f"{until.astimezone(zone):%Y-%m-%d %H:%M}",
        "totals": {column: sum(row[column] for row in rows) for column in NUMBERS},
        "mailings": rows[:MAILINGS_NAMED],
        "others": max(0, len(rows) - MAILINGS_NAMED),
    }


def _next_time(hour: int, zone: ZoneInfo, after: datetime) -> datetime:
    day = after.astimezone(zone).date()
    while (moment := _at(hour, zone, day)) <= after:
        day += timedelta(days=1)
    return moment


def _time_before(hour: int, zone: ZoneInfo, moment: datetime) -> datetime:
    return _at(hour, zone, moment.astimezone(zone).date() - timedelta(days=1))


def _at(hour: int, zone: ZoneInfo, day: date) -> datetime:
    return datetime.combine(day, time(hour), zone).astimezone(UTC)
