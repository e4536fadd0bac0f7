"""How active a client is: who clicks, who has stopped clicking, and who is new.

Only mailings and sequences that count clicks matter: without counting, no click says nothing.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, Select, and_, exists, literal, not_, select

from skymailing.delivery.audience.fields import Activity
from skymailing.delivery.audience.memberships import is_among
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.models import Client, Delivery, DeliveryState, Engagement, Mailing, MailingKind, Run

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
            return and_(not_(clicked), received)
    return and_(is_new(viewpoint), not_(clicked), not_(received))


def has_clicked(viewpoint: Viewpoint, dialect: str) -> Condition:
    """Return the condition that a client has recently clicked a link in a letter."""
    since = viewpoint.now - timedelta(days=CLICK_DAYS)
    rows = (
        select(Delivery.client_id)
        .join(Engagement, Engagement.delivery_id == Delivery.id)
        .where(Engagement.run_id.in_(_select_runs(viewpoint)), Delivery.client_id.is_not(None))
        .where(Engagement.first_click_at >= int(since.timestamp() * 1000))
    )
    return is_among(Client.id, Delivery.client_id, rows, dialect)


def has_received_many(viewpoint: Viewpoint) -> Condition:
    """Return the condition that a client has received enough letters to be called quiet without a click."""
    letters = (
        select(literal(1))
        .where(Delivery.client_id == Client.id, Delivery.state == DeliveryState.SENT)
        .where(Delivery.run_id.in_(_select_runs(viewpoint)))
    )
    # Looking for the last of these letters stops early, which counting does not.
    return exists(letters.offset(LETTERS - 1).limit(1).correlate(Client))


def is_new(viewpoint: Viewpoint) -> Condition:
    """Return the condition that a client was added recently."""
    return Client.created_at >= viewpoint.now - timedelta(days=NEW_DAYS)


def _select_runs(viewpoint: Viewpoint) -> Select[tuple[int]]:
    since = viewpoint.now - timedelta(days=LETTER_DAYS)
    return (
        select(Run.id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(Mailing.owner_id == viewpoint.owner_id, Mailing.kind.in_(KINDS))
        .where(Run.track_clicks, Run.started_at >= since)
    )
