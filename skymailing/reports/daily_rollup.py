"""Roll up the counts of each day, so that a report over very many runs reads one row per day.

A rollup is current while none of its day's intervals is fresh. A database trigger marks an interval as
fresh whenever its counts change, so that writers do not compete for a shared row or send an extra statement.
A report uses the rollups of days without fresh intervals and adds up the other days itself. So it is
always exact, and late rollups only make it slower.
"""

import json
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, exists, insert, literal, select, tuple_, update
from sqlalchemy.orm import Session

from skymailing.db.engine import let_others_write, reading_engine
from skymailing.extensions import db
from skymailing.models import ReportDay, RunInterval, User
from skymailing.models.types import UTCDateTime
from skymailing.reports.aggregates import (
    SUMS,
    Aggregate,
    Database,
    Scope,
    Selection,
    TimeRange,
    mailing_key,
    read_aggregates,
)
from skymailing.reports.rollup_queries import ALL_MAILINGS, IS_FRESH
from skymailing.web.timezones import end_of_day, start_of_day

TIME_BUDGET = 1.0  # seconds per sweep; a sweep runs every fifteen seconds
# A day is rolled up only after this time without changes. Otherwise, a run that is sending would
# invalidate the rollup again and again.
QUIET_TIME = timedelta(minutes=15)
KEY = RunInterval.run_id, RunInterval.begins_at


def roll_up_days(now: datetime, seconds: float = TIME_BUDGET) -> int:
    """Roll up days with fresh intervals until the time is used up; return the number of days."""
    started_at = time.monotonic()
    rolled_up = 0
    position: tuple[int, datetime] | None = None
    while time.monotonic() - started_at < seconds:
        step_started_at = time.monotonic()
        with Session(reading_engine()) as session:
            next_day = _find_next_day(session, position, now - QUIET_TIME)
        if next_day is None:
            break
        owner_id, day = next_day
        position = owner_id, day[1]
        with Session(db.engine) as session, session.begin():
            if not _roll_up_day(session, owner_id, day, now - QUIET_TIME):
                continue  # a later sweep tries again
        rolled_up += 1
        let_others_write(time.monotonic() - step_started_at)
    return rolled_up


def drop_rollups(database: Database, owner_id: int) -> None:
    """Delete all rollups of an owner whose days have changed together with their time zone.

    Call it with the owner's row locked, which prevents new rollups until the transaction ends.
    """
    database.execute(delete(ReportDay).where(ReportDay.owner_id == owner_id))
    rolled_up = select(*KEY).where(RunInterval.owner_id == owner_id, RunInterval.is_fresh.is_(False))
    # Lock in the same order as writers of counts, to prevent deadlocks.
    locked = rolled_up.order_by(*KEY).with_for_update().cte()
    database.execute(update(RunInterval).where(tuple_(*KEY).in_(select(locked))).values(is_fresh=True))


def _find_next_day(
    session: Session, position: tuple[int, datetime] | None, cutoff: datetime
) -> tuple[int, TimeRange] | None:
    """Return the next owner and day with fresh intervals before `cutoff`, in the order of the index."""
    at = RunInterval.owner_id, RunInterval.begins_at
    statement = select(*at, User.timezone).join(User, User.id == RunInterval.owner_id)
    statement = statement.where(IS_FRESH, RunInterval.begins_at < cutoff)
    if position:
        statement = statement.where(
            tuple_(*at) >= tuple_(literal(position[0]), literal(position[1], UTCDateTime))
        )
    row = session.execute(statement.order_by(*at).limit(1)).first()
    return (row.owner_id, _find_day(row.begins_at, ZoneInfo(row.timezone))) if row else None


def _find_day(moment: datetime, zone: ZoneInfo) -> TimeRange:
    day = moment.astimezone(zone).date()
    return start_of_day(day, zone), end_of_day(day, zone)


def _roll_up_day(session: Session, owner_id: int, day: TimeRange, cutoff: datetime) -> bool:
    """Roll up an owner's day; return False if it is still changing or another process is working on it."""
    owner = select(User.timezone).where(User.id == owner_id)
    # This lock still lets other transactions add rows that refer to the user.
    zone = session.scalar(owner.with_for_update(key_share=True, skip_locked=True))
    if zone is None or _find_day(day[0], ZoneInfo(zone)) != day:
        return False
    in_day = RunInterval.begins_at >= day[0], RunInterval.begins_at < day[1]
    fresh = select(*KEY).where(IS_FRESH, RunInterval.owner_id == owner_id, *in_day)
    if session.scalar(select(fresh.where(RunInterval.begins_at >= cutoff).exists())):
        return False
    overlapping = (
        (ReportDay.owner_id == owner_id) & (ReportDay.begins_at < day[1]) & (ReportDay.ends_at > day[0])
    )
    is_other_day = (ReportDay.begins_at != day[0]) | (ReportDay.ends_at != day[1])
    if session.scalar(select(exists().where(overlapping, is_other_day))):
        drop_rollups(session, owner_id)  # the rules of the time zone have changed
        return False
    # Clear the marks first and read the counts afterwards, in later statements that see at least as much.
    # A count that changes in between marks its interval again, and intervals locked elsewhere remain fresh.
    locked = fresh.with_for_update(skip_locked=True).cte()
    session.execute(update(RunInterval).where(tuple_(*KEY).in_(select(locked))).values(is_fresh=False))
    by_mailing = read_aggregates(session, Selection(Scope(owner_id), [day]), mailing_key)
    total = Aggregate()
    for aggregate in by_mailing.values():
        total.add(aggregate)
    session.execute(delete(ReportDay).where(overlapping))
    rows = [
        _make_row(owner_id, id, day, aggregate)
        for id, aggregate in {ALL_MAILINGS: total, **by_mailing}.items()
    ]
    session.execute(insert(ReportDay), rows)
    return True


def _make_row(owner_id: int, mailing_id: int, day: TimeRange, aggregate: Aggregate) -> dict[str, object]:
    reasons = [(code, words, attempts) for (code, words), attempts in aggregate.reasons.items()]
    return {
        "owner_id": owner_id,
        "mailing_id": mailing_id,
        "begins_at": day[0],
        "ends_at": day[1],
        "times": json.dumps(list(aggregate.times.items())),
        "reasons": json.dumps(reasons, ensure_ascii=False),
    } | {name: aggregate.counts[name] for name in SUMS}
