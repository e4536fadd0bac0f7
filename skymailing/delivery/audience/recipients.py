"""Select and count a mailing's recipients, for the engine and for pages."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, false, func, select

from skymailing.clock import utcnow
from skymailing.delivery.audience.parts import BrokenAudience, EmptyAudience, compile_parts, read_parts
from skymailing.extensions import db
from skymailing.models import Audience, Client, Mailing, Suppression, mailing_clients


def recipients(mailing: Mailing, now: datetime | None = None) -> Select[tuple[Client]]:
    """Select the clients that a run starting now would include, suppressed ones among them.

    If the audience cannot be evaluated, no client is selected; `find_problem` says why.
    """
    statement = select(Client).where(Client.owner_id == mailing.owner_id)
    if mailing.audience is Audience.SELECTED:
        members = select(mailing_clients.c.client_id).where(mailing_clients.c.mailing_id == mailing.id)
        return statement.where(Client.id.in_(members))
    parts = read_parts(mailing)
    if mailing.audience in (Audience.ALL, Audience.ALL_EXCEPT) and not parts.parts:
        return statement
    try:
        return statement.where(compile_parts(parts, mailing.audience, mailing.owner, now or utcnow()))
    except (BrokenAudience, EmptyAudience):
        return statement.where(false())


def find_problem(mailing: Mailing, now: datetime) -> BrokenAudience | EmptyAudience | None:
    """Return why the audience of a mailing cannot be evaluated, or None."""
    if mailing.audience is Audience.SELECTED:
        return None
    try:
        compile_parts(read_parts(mailing), mailing.audience, mailing.owner, now)
    except (BrokenAudience, EmptyAudience) as error:
        return error
    return None


def describe_audience(mailing: Mailing) -> dict[str, Any]:
    """Return whom a run is for, as `Run.audience` keeps it."""
    kind = {"audience": mailing.audience.value}
    return kind if mailing.audience is Audience.SELECTED else kind | read_parts(mailing).to_json()


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
