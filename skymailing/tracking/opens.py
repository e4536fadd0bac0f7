"""Store when letters were opened, as far as their mailing allows it: loading a picture shows it, as a guess.

Apple's proxy loads pictures in advance, which says nothing, and machines do not open letters.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection, case, select

from skymailing.db.engine import insert_into, is_in
from skymailing.db.upserts import Insert, Upsert
from skymailing.models import Delivery, Engagement, OpenTracking, Run
from skymailing.tracking.click_counts import to_time
from skymailing.tracking.hits import NotedHit
from skymailing.tracking.machines import Visitor


def store_opens(connection: Connection, hits: Sequence[NotedHit]) -> None:
    """Store the day of the last open of each letter; the time is forgotten."""
    days: dict[int, date] = {}
    runs = {hit.delivery_id: hit.run_id for hit in hits}
    for hit in hits:
        if hit.visitor is Visitor.PERSON:
            day = to_time(hit.at).date()
            days[hit.delivery_id] = max(day, days.get(hit.delivery_id, day))
    if not days:
        return
    found = (
        select(Delivery.id, Delivery.run_id, Run.mailing_id)
        .join(Run, Run.id == Delivery.run_id)
        .where(is_in(Delivery.id, sorted(days)), Run.track_opens != OpenTracking.OFF)
        .order_by(Delivery.id)
    )
    rows = [
        {
            "delivery_id": id,
            "run_id": run_id,
            "mailing_id": mailing_id,
            "clicks": 0,
            "machine_clicks": 0,
            "opened_on": days[id],
        }
        for id, run_id, mailing_id in connection.execute(found)
        if run_id == runs[id]
    ]
    if rows:
        _OPENS.execute(connection, rows)


def _make_upsert() -> Insert:
    statement = insert_into(Engagement)
    stored, new = Engagement.opened_on, statement.excluded.opened_on
    latest = case((stored > new, stored), else_=new)
    return statement.on_conflict_do_update(index_elements=["delivery_id"], set_={"opened_on": latest})


_OPENS = Upsert(_make_upsert)
