"""Classify clients by activity: those who click, those who no longer click, and new ones.

Only mailings and sequences that count clicks are considered; in others, clicks are unknown.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, literal, not_, select

from skymailing.delivery.audience.fields import Activity
from skymailing.delivery.audience.memberships import is_among
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.models import Client, Delivery, DeliveryState, Engagement, Mailing, MailingKind, Run
from skymailing.settings.retention import retention_settings

CLICK_DAYS = 90  # an active client has clicked within this time
LETTER_DAYS = 180  # a quiet client has received LETTERS within this time
LETTERS = 5
NEW_DAYS = 30
KINDS = (MailingKind.MAILING, MailingKind.SEQUENCE)

Condition = ColumnElement[bool]


def has_activity(activity: Activity, viewpoint: Viewpoint, dialect: str) -> Condition:
    """Return the condition that a client is active, quiet or new."""
    clicked, received = has_clicked(viewpoint, dialect), has_received_many(viewpoint)
    match activity:
        case Activity.ACTIVE:
            return clicked
        case Activity.QUIET:
            return and_(not_(clicked), received) if are_clicks_kept() else false()
    return and_(is_new(viewpoint), not_(clicked), not_(received))


def select_reactions(client_ids: Sequence[int], viewpoint: Viewpoint) -> Select[Any]:
    """Return a query for the number of these clients' letters that count clicks, and the last click."""
    received = func.count().filter(Delivery.state == DeliveryState.SENT)
    return (
        select(Delivery.client_id, received, func.max(Engagement.first_click_at))
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .outerjoin(Engagement, Engagement.delivery_id == Delivery.id)
        .where(Delivery.client_id.in_(client_ids), *_list_conditions(viewpoint))
        .group_by(Delivery.client_id)
    )


def classify(client: Client, letters: int, clicked_at: int | None, now: datetime) -> Activity | None:
    """Return the activity that `has_activity` would find, given a client's row of `select_reactions`."""
    if clicked_at is not None and clicked_at >= _to_milliseconds(now - timedelta(days=CLICK_DAYS)):
        return Activity.ACTIVE
    if letters >= LETTERS:
        return Activity.QUIET if are_clicks_kept() else None
    return Activity.NEW if client.created_at >= now - timedelta(days=NEW_DAYS) else None


def are_clicks_kept() -> bool:
    """Return whether clicks are kept long enough to recognize clients who have not clicked."""
    kept_days = retention_settings().run_details
    return not kept_days or kept_days >= CLICK_DAYS


def has_clicked(viewpoint: Viewpoint, dialect: str) -> Condition:
    """Return the condition that a client has recently clicked a link in a letter."""
    since = viewpoint.now - timedelta(days=CLICK_DAYS)
    rows = (
        select(Delivery.client_id)
        .join(Engagement, Engagement.delivery_id == Delivery.id)
        .where(Engagement.run_id.in_(_select_runs(viewpoint)), Delivery.client_id.is_not(None))
        .where(Engagement.first_click_at >= _to_milliseconds(since))
    )
    return is_among(Client.id, Delivery.client_id, rows, dialect)


def has_received_many(viewpoint: Viewpoint) -> Condition:
    """Return the condition that a client has received enough letters to count as quiet without clicks."""
    letters = (
        select(literal(1))
        .where(Delivery.client_id == Client.id, Delivery.state == DeliveryState.SENT)
        .where(Delivery.run_id.in_(_select_runs(viewpoint)))
    )
    # This search stops at the last letter needed; counting would read all of them.
    return exists(letters.offset(LETTERS - 1).limit(1).correlate(Client))


def is_new(viewpoint: Viewpoint) -> Condition:
    """Return the condition that a client was added recently."""
    return Client.created_at >= viewpoint.now - timedelta(days=NEW_DAYS)


def _select_runs(viewpoint: Viewpoint) -> Select[tuple[int]]:
    runs = select(Run.id).join(Mailing, Mailing.id == Run.mailing_id)
    return runs.where(*_list_conditions(viewpoint))


def _list_conditions(viewpoint: Viewpoint) -> list[Condition]:
    """Return the conditions on runs and their mailings."""
    since = viewpoint.now - timedelta(days=LETTER_DAYS)
    is_own = Mailing.owner_id == viewpoint.owner_id
    return [is_own, Mailing.kind.in_(KINDS), Run.track_clicks.is_(True), Run.started_at >= since]


def _to_milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
