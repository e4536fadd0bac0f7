"""Schedule and fill the daily summary email about a user's letters in the last day."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from skymailing.extensions import db
from skymailing.models import Mailing, RunInterval, User

MAX_MAILINGS_LISTED = 20
# There is no summary if all these numbers are zero.
NUMBERS = ("attempts", "sent", "failed", "unknown", "expired", "returned", "complaints")


def choose_summary_hour(user: User, hour: int | None, now: datetime) -> None:
    """Set the local hour of the user's daily summary, or turn it off; call again if their zone changes."""
    user.summary_hour = hour
    if hour is None:
        user.next_summary_at = None
    elif user.next_summary_at is None or user.next_summary_at > now:  # one that is due will still be sent
        user.next_summary_at = find_next_time(hour, ZoneInfo(user.timezone), now)


def summarize(user: User, since: datetime, until: datetime) -> dict[str, Any] | None:
    """Return the values for the summary's template; None if no letters were sent or returned."""
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
        "mailings": rows[:MAX_MAILINGS_LISTED],
        "others": max(0, len(rows) - MAX_MAILINGS_LISTED),
    }


def find_next_time(hour: int, zone: ZoneInfo, after: datetime) -> datetime:
    """Return the first time after `after` at which the hour begins in the zone."""
    day = after.astimezone(zone).date()
    while (moment := _make_time(hour, zone, day)) <= after:
        day += timedelta(days=1)
    return moment


def find_previous_day(hour: int, zone: ZoneInfo, moment: datetime) -> datetime:
    return _make_time(hour, zone, moment.astimezone(zone).date() - timedelta(days=1))


def _make_time(hour: int, zone: ZoneInfo, day: date) -> datetime:
    return datetime.combine(day, time(hour), zone).astimezone(UTC)
