"""Select and count a mailing's recipients, for the engine and for pages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, false, func, select

from skymailing.delivery.audience.memberships import topic_condition
from skymailing.delivery.audience.parts import (
    AudienceParts,
    BrokenAudience,
    EmptyAudience,
    compile_parts,
    read_parts,
)
from skymailing.extensions import db
from skymailing.models import Audience, Client, Mailing, Suppression, mailing_clients


@dataclass(frozen=True)
class Recipients:
    """The clients whom a run of a mailing would include, even if they are suppressed.

    If the audience cannot be evaluated, `problem` is the reason, and `clients` selects no one.
    """

    mailing: Mailing
    parts: AudienceParts
    clients: Select[tuple[Client]]
    problem: BrokenAudience | EmptyAudience | None = None

    def exist(self) -> bool:
        """Return whether there is any recipient."""
        return bool(db.session.scalar(select(self.clients.exists())))

    def count(self) -> int:
        """Return the number of clients, including suppressed ones."""
        if self.mailing.audience is Audience.SELECTED and self.mailing.topic is None:
            # This count reads one index, and is the same: deleting a client ends its membership.
            statement = select(func.count()).where(mailing_clients.c.mailing_id == self.mailing.id)
        else:
            statement = self.clients.with_only_columns(func.count())
        return db.session.scalar(statement) or 0

    def count_suppressed(self) -> int:
        """Return how many of the clients get no letter."""
        suppressed = self.clients.with_only_columns(func.count()).where(is_suppressed())
        return db.session.scalar(suppressed) or 0


def find_recipients(mailing: Mailing, now: datetime) -> Recipients:
    """Return the clients whom a run of a saved mailing would include if it started `now`.

    Segments are compiled only once, for all uses of the result.
    """
    statement = select(Client).where(Client.owner_id == mailing.owner_id)
    if mailing.topic is not None:
        statement = statement.where(topic_condition(mailing.topic))
    if mailing.audience is Audience.SELECTED:
        members = select(mailing_clients.c.client_id).where(mailing_clients.c.mailing_id == mailing.id)
        return Recipients(mailing, AudienceParts(), statement.where(Client.id.in_(members)))
    parts = read_parts(mailing)
    if mailing.audience in (Audience.ALL, Audience.ALL_EXCEPT) and not parts.parts:
        return Recipients(mailing, parts, statement)
    try:
        condition = compile_parts(parts, mailing.audience, mailing.owner, now)
    except (BrokenAudience, EmptyAudience) as problem:
        return Recipients(mailing, parts, statement.where(false()), problem)
    return Recipients(mailing, parts, statement.where(condition))


def describe_audience(mailing: Mailing, parts: AudienceParts) -> dict[str, Any]:
    """Return the audience of a run as stored in `Run.audience`."""
    kind: dict[str, Any] = {"audience": mailing.audience.value}
    if mailing.topic is not None:
        kind["topic"] = {"topic": mailing.topic.id, "name": mailing.topic.name}
    return kind if mailing.audience is Audience.SELECTED else kind | parts.to_json()


def is_suppressed() -> ColumnElement[bool]:
    """Return the condition for clients who get no letters."""
    return exists().where(Suppression.owner_id == Client.owner_id, Suppression.email_key == Client.email_key)
