"""Find the clients who enter by a date or because they have joined a segment. The sweep calls this hourly.

Each function works in its own transactions, one for each batch of clients.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, String, func, or_, select, update
from sqlalchemy.orm import Session

from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.audience.segments import compile_segment
from skymailing.delivery.audience.typed_values import date_of
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.delivery.sequences.entering import (
    BATCH,
    ENTERED_STATES,
    Entry,
    enter,
    lock_sequence,
    may_enter,
)
from skymailing.extensions import db
from skymailing.models import Client, OnLate, Sequence, Trigger

CHECK_INTERVAL = timedelta(hours=1)
LONGEST_GAP = timedelta(days=366)  # earlier days have the same anniversaries


def is_check_due(sequence: Sequence, now: datetime) -> bool:
    """Return whether it is time to look for clients who enter by a date or a segment."""
    if sequence.trigger not in (Trigger.DATE, Trigger.SEGMENT):
        return False
    if sequence.checked_at is None or not timedelta() <= now - sequence.checked_at < CHECK_INTERVAL:
        return True
    return sequence.trigger is Trigger.DATE and sequence.checked_on != today_of(sequence, now)


def today_of(sequence: Sequence, now: datetime) -> date:
    """Return the date in the owner's time zone."""
    return now.astimezone(ZoneInfo(sequence.owner.timezone)).date()


def enter_by_occasion(sequence_id: int, now: datetime) -> int:
    """Let clients enter a sequence whose check is due; return how many."""
    count = 0
    for occasion in _list_occasions(sequence_id, now):
        last = 0
        while True:
            with Session(db.engine) as session, session.begin():
                sequence = lock_sequence(session, sequence_id, is_waiting=True)
                if sequence is None or sequence.state not in ENTERED_STATES:
                    return count
                ids = _find_clients(session, sequence, occasion, last, now)
                count += enter(session, sequence, ids, _make_entry(sequence, occasion, now), now)
            if len(ids) < BATCH:
                break
            last = ids[-1]
    _note_check(sequence_id, now)
    return count


def _list_occasions(sequence_id: int, now: datetime) -> list[date | None]:
    """Return the days to handle; None for a segment.

    Today is handled again, because clients may have been added.
    """
    with Session(db.engine) as session:
        sequence = session.get(Sequence, sequence_id)
        if sequence is None or not is_check_due(sequence, now):
            return []
        if sequence.trigger is Trigger.SEGMENT:
            return [None]
        today = today_of(sequence, now)
        gap = timedelta(days=1) if sequence.on_late is OnLate.SKIP else LONGEST_GAP
        first = max(sequence.checked_on or today, today - gap)
        return [first + timedelta(days=number) for number in range((today - first).days + 1)]


def _find_clients(
    session: Session, sequence: Sequence, occasion: date | None, last: int, now: datetime
) -> list[int]:
    try:
        condition = _compile(sequence, occasion, now)
    except InvalidConditions:
        return []  # the page shows the problem
    entry = _make_entry(sequence, occasion, now)
    chosen = select(Client.id).where(Client.owner_id == sequence.owner_id, Client.id > last, condition)
    return list(
        session.scalars(chosen.where(may_enter(sequence, entry, now)).order_by(Client.id).limit(BATCH))
    )


def _compile(sequence: Sequence, occasion: date | None, now: datetime) -> ColumnElement[bool]:
    if occasion is not None:
        return has_occasion(sequence, occasion, now)
    if sequence.segment is None:
        raise InvalidConditions("segment_empty")
    return compile_segment(sequence.segment.conditions, sequence.owner, now)


def has_occasion(sequence: Sequence, day: date, now: datetime) -> ColumnElement[bool]:
    """Return the condition for clients whose date, or its anniversary, lets them enter on this day.

    In years without 29 February, its anniversary is on the 28th. The date itself is not an anniversary.
    """
    occasion = day - timedelta(days=sequence.date_offset)
    formats = Viewpoint.of(sequence.owner, now).formats
    column = date_of(sequence.date_key, formats, db.engine.dialect.name)
    if not sequence.is_yearly:
        return column == occasion.isoformat()
    days = list(_list_days(occasion))
    is_day = or_(*(func.substr(column, 6, 5, type_=String) == each for each in days))
    return is_day & (column < occasion.isoformat())


def _list_days(occasion: date) -> Iterator[str]:
    yield f"{occasion:%m-%d}"
    if (occasion.month, occasion.day) == (2, 28) and (occasion + timedelta(days=1)).month == 3:
        yield "02-29"


def _make_entry(sequence: Sequence, occasion: date | None, now: datetime) -> Entry:
    if occasion is None:
        return Entry(_find_start(sequence, now))
    viewpoint = Viewpoint.of(sequence.owner, now)
    event = occasion - timedelta(days=sequence.date_offset)
    may_repeat = sequence.is_yearly or sequence.reenter_days is not None
    number = event.year if sequence.is_yearly else int(f"{event:%Y%m%d}")
    return Entry(viewpoint.midnight(occasion), number if may_repeat else 1)


def _find_start(sequence: Sequence, now: datetime) -> datetime:
    """Return when the wait of the clients in the segment begins: now.

    In the first check after a restore, it begins at the last check before it, because they may have entered
    in between.
    """
    restored_at, checked_at = sequence.restored_at, sequence.checked_at
    if restored_at is None or checked_at is None or checked_at > restored_at:
        return now
    return checked_at


def _note_check(sequence_id: int, now: datetime) -> None:
    with Session(db.engine) as session, session.begin():
        sequence = lock_sequence(session, sequence_id, is_waiting=True)
        if sequence is None:
            return
        values: dict[str, Any] = {"checked_at": now, "updated_at": Sequence.updated_at}
        if sequence.trigger is Trigger.DATE:
            values["checked_on"] = today_of(sequence, now)
        session.connection().execute(update(Sequence).where(Sequence.id == sequence_id).values(values))
