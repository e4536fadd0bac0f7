"""Find an owner's clients, messages and mailings by a few letters, within the time limit of pages."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import select

from skymailing.clients.search.finding import list_found
from skymailing.db.text_search import contains_text
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.extensions import db
from skymailing.models import Client, Mailing, MailingKind, Message

SHOWN = 5  # of each kind


@dataclass
class Found:
    """The newest objects that match; kinds that took too long are missing."""

    mailings: Sequence[Mailing] = ()
    messages: Sequence[Message] = ()
    clients: Sequence[Client] = field(default_factory=list)


def find_objects(owner_id: int, search: str) -> Found:
    """Return the owner's objects whose names contain `search`."""
    found = Found()
    with suppress(TookTooLong), limit_time():
        mailings = select(Mailing).where(Mailing.owner_id == owner_id, Mailing.kind == MailingKind.MAILING)
        mailings = mailings.where(contains_text(Mailing.name, search)).order_by(Mailing.id.desc())
        found.mailings = db.session.scalars(mailings.limit(SHOWN)).all()
        messages = select(Message).where(Message.owner_id == owner_id)
        messages = messages.where(contains_text(Message.subject, search)).order_by(Message.id.desc())
        found.messages = db.session.scalars(messages.limit(SHOWN)).all()
        clients = list_found(owner_id, search).order_by(Client.email_key)
        found.clients = db.session.scalars(clients.limit(SHOWN)).all()
    return found
