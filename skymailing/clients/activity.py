"""Find the activity of clients for pages: that of a few clients, and the number of clients with each."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from sqlalchemy import func, select

from skymailing.db.pagination import BoundedCount, count_up_to
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.delivery.audience.activity import classify, has_activity, select_reactions
from skymailing.delivery.audience.fields import Activity
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.extensions import cache, db
from skymailing.models import (
    CAUGHT_KINDS,
    Client,
    Delivery,
    DeliveryState,
    Engagement,
    Mailing,
    MailingKind,
    Run,
    User,
)

NEWEST_MAILINGS = 20  # the mailings that are searched for one that counts clicks
SECONDS = 2.0  # time limit for counting
CACHE_KEY = "client-activity-{}"
CACHE_SECONDS = 300


def counts_clicks(owner_id: int) -> bool:
    """Return whether the owner's mailings count clicks; otherwise, activity is unknown."""
    newest = select(Mailing.track_clicks).where(Mailing.owner_id == owner_id)
    newest = newest.where(Mailing.kind == MailingKind.MAILING).order_by(Mailing.id.desc())
    return any(db.session.scalars(newest.limit(NEWEST_MAILINGS)))


def find_activities(owner: User, clients: Iterable[Client], now: datetime) -> dict[int, Activity]:
    """Return the activity of clients by ID; clients without activity are omitted."""
    found = {client.id: client for client in clients}
    rows = db.session.execute(select_reactions(list(found), Viewpoint.of(owner, now))).tuples()
    reactions = {client_id: (letters, clicked_at) for client_id, letters, clicked_at in rows}
    activities = {id: classify(client, *reactions.get(id, (0, None)), now) for id, client in found.items()}
    return {id: activity for id, activity in activities.items() if activity is not None}


def count_clicked_letters(client: Client) -> tuple[int, int]:
    """Return how many of a client's letters count clicks, and in how many of them the client clicked."""
    letters = select(func.count(), func.count(Engagement.first_click_at)).select_from(Delivery)
    letters = letters.join(Run, Run.id == Delivery.run_id).join(Mailing, Mailing.id == Run.mailing_id)
    letters = letters.outerjoin(Engagement, Engagement.delivery_id == Delivery.id)
    # Deliveries have no foreign key to clients, so check the owner, too.
    own = (Delivery.client_id == client.id) & (Mailing.owner_id == client.owner_id)
    is_counted = Run.track_clicks & (Delivery.state == DeliveryState.SENT)
    letters = letters.where(own, is_counted, Mailing.kind.not_in(CAUGHT_KINDS))
    return db.session.execute(letters).tuples().one()


def count_activities(owner: User, now: datetime) -> dict[Activity, BoundedCount | None]:
    """Return how many clients have each activity, None if counting takes too long; cached for minutes."""
    key = CACHE_KEY.format(owner.id)
    counted: list[tuple[int, bool] | None] | None = cache.get(key)
    if counted is None:
        counted = _count(owner, now)
        cache.set(key, counted, timeout=CACHE_SECONDS)
    pairs = zip(Activity, counted, strict=True)
    return {activity: count and BoundedCount(*count) for activity, count in pairs}


def _count(owner: User, now: datetime) -> list[tuple[int, bool] | None]:
    viewpoint, dialect = Viewpoint.of(owner, now), db.engine.dialect.name
    counted: list[tuple[int, bool] | None] = [None] * len(Activity)
    with suppress(TookTooLong), limit_time(SECONDS):
        for number, activity in enumerate(Activity):
            condition = has_activity(activity, viewpoint, dialect)
            count = count_up_to(select(Client.id).where(Client.owner_id == owner.id, condition))
            counted[number] = (count.number, count.is_exact)
    return counted
