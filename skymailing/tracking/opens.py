"""Store when letters were opened, if their mailing allows it: a loaded tracking image suggests an open.

Images loaded by machines, or in advance by Apple's proxy, are ignored. If opens are counted per person, only
people who have consented are counted. The consent is checked here, so that a withdrawal takes effect with its
commit.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, or_, select, update

from skymailing.db.engine import insert_into, is_in
from skymailing.db.upserts import Insert, Upsert
from skymailing.delivery.open_consents import allows_counting
from skymailing.models import Click, Client, Delivery, Engagement, Mailing, OpenTracking, Run
from skymailing.tracking.bursts import WINDOW
from skymailing.tracking.click_counts import to_time
from skymailing.tracking.hits import NotedHit
from skymailing.tracking.locking import take_turn
from skymailing.tracking.machines import Visitor

SCANNED = 2  # if a machine followed this many links within WINDOW of an open, it also loaded the image


def store_opens(connection: Connection, hits: Sequence[NotedHit]) -> None:
    """Store the opens of each letter: only the day of the last one, unless opens are counted per person.

    Call this after the clicks of the same fold are stored.
    """
    by_letter: dict[int, list[int]] = defaultdict(list)
    runs = {hit.delivery_id: hit.run_id for hit in hits}
    for hit in hits:
        if hit.visitor is Visitor.PERSON:
            by_letter[hit.delivery_id].append(hit.at)
    _drop_scans(connection, by_letter)
    found = _select_letters().where(is_in(Delivery.id, sorted(by_letter)))
    rows = [
        _make_row(row, by_letter[row.id])
        for row in connection.execute(found.order_by(Delivery.id))
        if row.run_id == runs[row.id]
    ]
    if rows:
        _OPENS.execute(connection, rows)


def _drop_scans(connection: Connection, by_letter: dict[int, list[int]]) -> None:
    """Remove the hits of scanners, which follow links and also load images."""
    scans = select(Click.delivery_id, Click.last_at).where(
        is_in(Click.delivery_id, sorted(by_letter)), Click.machine_clicks > 0, ~Click.was_person
    )
    times: dict[int, list[int]] = defaultdict(list)
    for id, at in connection.execute(scans):
        times[id].append(at)
    for id, scanned in times.items():
        opens = [at for at in by_letter[id] if sum(abs(at - scan) <= WINDOW for scan in scanned) < SCANNED]
        if opens:
            by_letter[id] = opens
        else:
            del by_letter[id]


def _select_letters() -> Any:
    """Select letters whose opens may be stored."""
    has_day = Run.track_opens == OpenTracking.DAY
    return (
        select(Delivery.id, Delivery.run_id, Run.mailing_id, Run.track_opens)
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(or_(has_day, and_(_counts_people(), allows_counting(Mailing.owner_id, Delivery.email_key))))
    )


def _counts_people() -> ColumnElement[bool]:
    return Run.track_opens == OpenTracking.PERSON


def _make_row(letter: Any, times: Sequence[int]) -> dict[str, object]:
    last, is_counted = max(times), letter.track_opens == OpenTracking.PERSON
    return {
        "delivery_id": letter.id,
        "run_id": letter.run_id,
        "mailing_id": letter.mailing_id,
        "clicks": 0,
        "machine_clicks": 0,
        "opened_on": to_time(last).date(),
        "opens": len(times) if is_counted else 0,
        "last_open_at": last if is_counted else None,
    }


def _make_upsert() -> Insert:
    statement = insert_into(Engagement)
    new = statement.excluded
    changed: dict[str, Any] = {
        name: case((getattr(Engagement, name) > new[name], getattr(Engagement, name)), else_=new[name])
        for name in ("opened_on", "last_open_at")
    }
    changed["opens"] = Engagement.opens + new["opens"]
    return statement.on_conflict_do_update(index_elements=["delivery_id"], set_=changed)


_OPENS = Upsert(_make_upsert)


def forget_opens(connection: Connection, owner_id: int, email_keys: Sequence[str], now: datetime) -> None:
    """Remove opens that were stored with people's consent; folds wait until this transaction ends."""
    take_turn(connection, now)
    # Search by client, which uses an index; letters of merged clients belong to the client that was kept.
    own = select(Client.id).where(Client.owner_id == owner_id, Client.email_key.in_(email_keys))
    letters = select(Delivery.id).where(Delivery.client_id.in_(own))
    counted = (Engagement.opens > 0) & Engagement.delivery_id.in_(letters)
    connection.execute(update(Engagement).where(counted).values(opens=0, last_open_at=None, opened_on=None))
