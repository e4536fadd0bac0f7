"""Count each user's usage, in one row per kind and hour; accepted letters in one row per process as well.

Each function works in the caller's transaction. A count locks its row until the commit, so add to it as
late as possible.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, select, update
from sqlalchemy.orm import Session

from skymailing.db.engine import insert_into
from skymailing.db.upserts import Insert, Upsert
from skymailing.extensions import db
from skymailing.models import SHOWN_KINDS, UsageHour, UsageKind

HOUR = timedelta(hours=1)
RETENTION = timedelta(days=2)  # longer than every window
SHOWN_RETENTION = timedelta(days=31)  # longer than the time for which letters are rated and shown


def hour_of(time: datetime) -> datetime:
    """Return the beginning of the hour."""
    return time.replace(minute=0, second=0, microsecond=0)


def get_window_start(hours: int, now: datetime) -> datetime:
    """Return the start of the window of `hours` hours that ends with the current one."""
    return hour_of(now) - (hours - 1) * HOUR


def add(connection: Connection, owner_id: int, kind: UsageKind, count: int, now: datetime) -> None:
    """Add to the owner's count for this hour."""
    add_at(connection, owner_id, kind, count, hour_of(now))


def add_at(connection: Connection, owner_id: int, kind: UsageKind, count: int, begins_at: datetime) -> None:
    """Add to the owner's count in the row that begins at this time."""
    row = {"owner_id": owner_id, "kind": kind, "begins_at": begins_at, "count": count}
    UPSERT_COUNT.execute(connection, [row])


def _upsert_count() -> Insert:
    statement = insert_into(UsageHour)
    return statement.on_conflict_do_update(
        index_elements=["owner_id", "kind", "begins_at"],
        set_={"count": UsageHour.count + statement.excluded["count"]},
    )


UPSERT_COUNT = Upsert(_upsert_count)


def subtract(connection: Connection, owner_id: int, kind: UsageKind, count: int, now: datetime) -> None:
    """Subtract from the owner's count for this hour, and the remainder from that for the previous hour.

    Uses may have been counted in the previous hour. No count falls below zero.
    """
    for begins_at in (hour_of(now), hour_of(now) - HOUR):
        row = _belongs_to(owner_id, kind) & (UsageHour.begins_at == begins_at)
        stored = connection.scalar(select(UsageHour.count).where(row).with_for_update()) or 0
        subtracted = min(stored, count)
        if subtracted:
            connection.execute(update(UsageHour).where(row).values(count=UsageHour.count - subtracted))
        count -= subtracted
        if not count:
            return


def total(
    owner_id: int | ColumnElement[int], kind: UsageKind, hours: int, now: datetime
) -> ColumnElement[int]:
    """Return a subquery for the owner's count in the last `hours` hours, including the current one."""
    return (
        select(func.coalesce(func.sum(UsageHour.count), 0))
        .where(_belongs_to(owner_id, kind), UsageHour.begins_at >= get_window_start(hours, now))
        .scalar_subquery()
    )


def read_hours(owner_id: int, kind: UsageKind, hours: int, now: datetime) -> dict[datetime, int]:
    """Return the owner's counts by hour, oldest first."""
    statement = select(UsageHour.begins_at, UsageHour.count).where(
        _belongs_to(owner_id, kind), UsageHour.begins_at >= get_window_start(hours, now)
    )
    return dict(db.session.execute(statement.order_by(UsageHour.begins_at)).tuples().all())


def delete_old(now: datetime) -> None:
    """Delete counts that limits, reputations and the panel do not need any more."""
    hour = hour_of(now)
    is_old = UsageHour.kind.not_in(SHOWN_KINDS) & (UsageHour.begins_at < hour - RETENTION)
    with Session(db.engine) as session, session.begin():
        session.execute(delete(UsageHour).where(is_old | (UsageHour.begins_at < hour - SHOWN_RETENTION)))


def _belongs_to(owner_id: int | ColumnElement[int], kind: UsageKind) -> ColumnElement[bool]:
    return (UsageHour.owner_id == owner_id) & (UsageHour.kind == kind)
