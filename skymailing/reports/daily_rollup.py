"""Adding up the days of reports, so that one of very many runs reads a row for each day.

A sum holds as long as none of its day's intervals is fresh. A trigger of the database makes one fresh
with the change of its numbers, so that who writes them shares no row with anybody else and sends no
statement more. A report takes the sums of days without a fresh interval and adds up the others
itself: it is exact at every moment, and how far the adding up has come decides only how long it takes.
"""

import json
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, exists, insert, literal, select, tuple_, update
from sqlalchemy.orm import Session

from skymailing.db.engine import let_others_write, reading_engine
from skymailing.extensions import db
from skymailing.models import REPORTED_COUNTS, ReportDay, RunInterval, User
from skymailing.models.types import UTCDateTime
from skymailing.reports.aggregates import (
    Database,
    Part,
    Scope,
    Stretch,
    Tally,
    by_mailing,
    read_tallies,
)
from skymailing.reports.rollup_queries import ALL, IS_FRESH
from skymailing.web.timezones import day_ends, day_starts

SECONDS = 1.0  # of a sweep, which runs every fifteen
# A day is added up when nothing has come to it for so long: a run under way would have it added up
# again and again.
QUIET = timedelta(minutes=15)
KEY = RunInterval.run_id, RunInterval.begins_at


def add_up(now: datetime, seconds: float = SECONDS) -> int:
    """Add up days with fresh intervals for a while; return how many were added up."""
    began = time.monotonic()
    added = 0
    position: tuple[int, datetime] | None = None
    while time.monotonic() - began < seconds:
        step_began = time.monotonic()
        with Session(reading_engine()) as session:
            found = _next_day(session, position, now - QUIET)
        if found is None:
            break
        owner_id, day = found
        position = owner_id, day[1]
        with Session(db.engine) as session, session.begin():
            if not _add_up_day(session, owner_id, day, now - QUIET):
                continue  # a later sweep finds it again
        added += 1
        let_others_write(time.monotonic() - step_began)
    return added


def forget(database: Database, owner_id: int) -> None:
    """Drop all of an owner's sums, whose days are no longer those of the owner's clock.

    Call it with the owner's row held, which keeps others from adding up until the transaction ends.
    """
    database.execute(delete(ReportDay).where(ReportDay.owner_id == owner_id))
    kept = select(*KEY).where(RunInterval.owner_id == owner_id, RunInterval.is_fresh.is_(False))
    # In the order of those who change numbers, so that neither waits for the other.
    locked = kept.order_by(*KEY).with_for_update().cte()
    database.execute(update(RunInterval).where(tuple_(*KEY).in_(select(locked))).values(is_fresh=True))


def _next_day(
    session: Session, position: tuple[int, datetime] | None, before: datetime
) -> tuple[int, Stretch] | None:
    """Return the next owner and day with fresh intervals from before then, in the order of the index."""
    at = RunInterval.owner_id, RunInterval.begins_at
    statement = select(*at, User.timezone).join(User, User.id == RunInterval.owner_id)
    statement = statement.where(IS_FRESH, RunInterval.begins_at < before)
    if position:
        statement = statement.where(
            tuple_(*at) >= tuple_(literal(position[0]), literal(position[1], UTCDateTime))
        )
    row = session.execute(statement.order_by(*at).limit(1)).first()
    return (row.owner_id, _day_of(row.begins_at, ZoneInfo(row.timezone))) if row else None


def _day_of(moment: datetime, zone: ZoneInfo) -> Stretch:
    day = moment.astimezone(zone).date()
    return day_starts(day, zone), day_ends(day, zone)


def _add_up_day(session: Session, owner_id: int, day: Stretch, before: datetime) -> bool:
    """Add up an owner's day; whether it was quiet, and nobody else was at it."""
    owner = select(User.timezone).where(User.id == owner_id)
    # Without keeping others from adding rows that refer to the user.
    zone = session.scalar(owner.with_for_update(key_share=True, skip_locked=True))
    if zone is None or _day_of(day[0], ZoneInfo(zone)) != day:
        return False
    in_day = RunInterval.begins_at >= day[0], RunInterval.begins_at < day[1]
    fresh = select(*KEY).where(IS_FRESH, RunInterval.owner_id == owner_id, *in_day)
    if session.scalar(select(fresh.where(RunInterval.begins_at >= before).exists())):
        return False
    overlapping = (
        (ReportDay.owner_id == owner_id) & (ReportDay.begins_at < day[1]) & (ReportDay.ends_at > day[0])
    )
    is_other = (ReportDay.begins_at != day[0]) | (ReportDay.ends_at != day[1])
    if session.scalar(select(exists().where(overlapping, is_other))):
        forget(session, owner_id)  # the rules of the zone have changed
        return False
    # A number that changes now makes its interval fresh once more, and what others hold stays fresh. So
    # the marks go first, and the numbers are read by later statements, which see at least as much.
    locked = fresh.with_for_update(skip_locked=True).cte()
    session.execute(update(RunInterval).where(tuple_(*KEY).in_(select(locked))).values(is_fresh=False))
    tallies = read_tallies(session, Part(Scope(owner_id), [day]), by_mailing)
    whole = Tally()
    for tally in tallies.values():
        whole.add(tally)
    session.execute(delete(ReportDay).where(overlapping))
    rows = [_row(owner_id, id, day, tally) for id, tally in {ALL: whole, **tallies}.items()]
    session.execute(insert(ReportDay), rows)
    return True


def _row(owner_id: int, mailing_id: int, day: Stretch, tally: Tally) -> dict[str, object]:
    reasons = [(code, words, attempts) for (code, words), attempts in tally.reasons.items()]
    return {
        "owner_id": owner_id,
        "mailing_id": mailing_id,
        "begins_at": day[0],
        "ends_at": day[1],
        "times": json.dumps(list(tally.times.items())),
        "reasons": json.dumps(reasons, ensure_ascii=False),
    } | {name: tally.counts[name] for name in REPORTED_COUNTS}
