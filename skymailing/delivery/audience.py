"""Select and count a mailing's recipients, for the engine and for pages."""

from sqlalchemy import ColumnElement, Select, exists, func, select

from skymailing.extensions import db
from skymailing.models import Audience, Client, Mailing, Suppression, mailing_clients


def recipients(mailing: Mailing) -> Select[tuple[Client]]:
    """Select the clients that a run starting now would include, suppressed ones among them."""
    statement = select(Client).where(Client.owner_id == mailing.owner_id)
    if mailing.audience is Audience.SELECTED:
        members = select(mailing_clients.c.client_id).where(mailing_clients.c.mailing_id == mailing.id)
        statement = statement.where(Client.id.in_(members))
    return statement


def is_suppressed() -> ColumnElement[bool]:
    """Return the condition for clients who get no letters."""
    return exists().where(Suppression.owner_id == Client.owner_id, Suppression.email_key == Client.email_key)


def count_recipients(mailing: Mailing) -> int:
    """Return how many clients a mailing is for, suppressed ones included."""
    if mailing.audience is Audience.SELECTED:
        # The same number as `recipients` gives, from one index: deleting a client ends its membership.
        statement = select(func.count()).where(mailing_clients.c.mailing_id == mailing.id)
    else:
        statement = recipients(mailing).with_only_columns(func.count())
    return db.session.scalar(statement) or 0


def count_suppressed(mailing: Mailing) -> int:
    """Return how many recipients of a mailing get no letter."""
    suppressed = recipients(mailing).with_only_columns(func.count()).where(is_suppressed())
    return db.session.scalar(suppressed) or 0
