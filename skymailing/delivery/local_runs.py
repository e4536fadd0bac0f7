"""Plan runs at local time, and postpone letters outside their clients' sending hours."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, literal, literal_column, select, update
from sqlalchemy.orm import Session

from skymailing.db.engine import is_one_of
from skymailing.delivery.calendar.local_times import (
    LocalStart,
    find_due_times,
    find_earliest_possible,
    find_zone,
)
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.extensions import db
from skymailing.models import (
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Run,
    RunState,
    User,
)

# How often zones are checked before a run, because clients in earlier zones may be added. It is shorter than
# `local_times.PUNCTUAL`, so that their time does not count as passed when they are found.
CHECK_INTERVAL = timedelta(minutes=10)
MAX_POSTPONED = 10_000  # letters per claim, so that other writers do not wait long

# The same text as in the index: with a parameter, the databases would not use it.
IS_PENDING: ColumnElement[bool] = (Delivery.state == literal_column("'pending'")) & (
    Delivery.not_before.is_not(None)
)


def is_due(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a pending letter is due at its client's local time."""
    return IS_PENDING & (Delivery.not_before <= now)


def list_zones(connection: Connection, owner_id: int) -> list[str]:
    """Return the time zones of the owner's clients; each is found by a look-up in the index."""
    zones: list[str] = []
    while True:
        last = zones[-1] if zones else ""
        following = select(Client.timezone).where(
            Client.owner_id == owner_id, Client.timezone != literal_column("''"), Client.timezone > last
        )
        name = connection.scalar(following.order_by(Client.timezone).limit(1))
        if name is None:
            return zones
        zones.append(name)


def begin(session: Session, run: Run, mailing: Mailing, now: datetime) -> Any:
    """Make a new run send at local time if its mailing does; return when its letters are due, or None."""
    if not mailing.is_local_time or mailing.is_caught:
        return None
    run.is_local_time, run.state = True, RunState.LOCAL
    return choose_times(session, mailing, run.scheduled_for, now)


def waits_for_zones(mailing_id: int, now: datetime) -> bool:
    """Return whether a mailing at local time is due later, and store when to check again."""
    with Session(db.engine) as session, session.begin():
        statement = select(Mailing).join(User).where(Mailing.id == mailing_id, Mailing.is_local_time)
        mailing = session.scalar(statement.with_for_update(of=Mailing))
        if mailing is None or mailing.state is not MailingState.SCHEDULED or mailing.next_run_at is None:
            return False
        check_at = _find_start(session, mailing, now)
        if check_at <= now:
            return False
        mailing.zones_checked_until = min(check_at, now + CHECK_INTERVAL)
        return True


def may_plan(session: Session, mailing: Mailing, now: datetime) -> bool:
    """Return whether a mailing's next run is due, at local time in its clients' first zone."""
    if mailing.next_run_at is None:
        return False
    return mailing.next_run_at <= now or (mailing.is_local_time and _find_start(session, mailing, now) <= now)


def _find_start(session: Session, mailing: Mailing, now: datetime) -> datetime:
    """Return when the mailing starts in its first zone, or a time before which it certainly does not."""
    assert mailing.next_run_at is not None
    start = LocalStart.of(mailing, mailing.next_run_at)
    earliest = find_earliest_possible(start)
    if earliest > now:
        return earliest
    zones = list_zones(session.connection(), mailing.owner_id)
    return start.find_earliest(find_zone(name, start.hours.zone) for name in zones)


def choose_times(session: Session, mailing: Mailing, occurrence: datetime, now: datetime) -> Any:
    """Return the SQL expression for `Delivery.not_before` of a mailing's clients."""
    zones = list_zones(session.connection(), mailing.owner_id)
    return make_times(find_due_times(LocalStart.of(mailing, occurrence), zones, now))


def make_times(times: Mapping[str, datetime]) -> Any:
    """Return the SQL expression for the time by the client's zone; "" stands for all other zones."""
    column_type = Delivery.not_before.type
    moments = {name: literal(at, column_type) for name, at in times.items()}
    default = moments.pop("")
    return case(moments, value=Client.timezone, else_=default) if moments else default


def postpone_closed(
    connection: Connection, rows: Sequence[Any], hours: SendingHours, now: datetime
) -> list[Any]:
    """Postpone letters to zones outside their sending hours to the next opening; return the others."""
    if not hours.is_limited:
        return list(rows)
    openings: dict[str, datetime | None] = {}
    closed: dict[tuple[str, DeliveryState], list[int]] = defaultdict(list)
    open_rows = []
    for row in rows:
        name = row.timezone or ""
        if name not in openings:
            zone = find_zone(name, hours.zone)
            openings[name] = replace(hours, zone=zone).find_next_opening(now)
        if openings[name] == now:
            open_rows.append(row)
        else:
            closed[name, row.state].append(row.id)
    for (name, state), ids in closed.items():
        at = openings[name] or now + timedelta(days=1)
        values = {"due_at": at} if state is DeliveryState.DEFERRED else {"not_before": at}
        connection.execute(update(Delivery).where(is_one_of(Delivery.id, "ids")).values(values), {"ids": ids})
    return open_rows
