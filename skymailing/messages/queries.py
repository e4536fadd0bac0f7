"""Query messages, and clients for the message pages."""

from collections import Counter
from typing import Any

from sqlalchemy import Select, select

from skymailing.clients.search.finding import list_found
from skymailing.db.pagination import Order
from skymailing.db.text_search import contains_text
from skymailing.delivery.rendering.content import TAGS
from skymailing.extensions import db
from skymailing.messages.placeholders import OWN_EMAIL, OWN_NAME
from skymailing.messages.starters import EXAMPLE_SITE
from skymailing.models import Client, Message, MessageDraft

ORDERS: dict[str, Order] = {
    "-changed": [(Message.updated_at, True), (Message.id, True)],
    "changed": [(Message.updated_at, False), (Message.id, False)],
    "subject": [(Message.subject, False), (Message.id, False)],
    "-subject": [(Message.subject, True), (Message.id, True)],
}
DEFAULT_ORDER = "-changed"
# Number of newest clients whose attributes are read: enough to find the columns of an import.
SAMPLE = 200
ATTRIBUTES_SHOWN = 40
CLIENTS_SHOWN = 8


def list_messages(owner_id: int, search: str = "") -> Select[Any]:
    """Return a statement for the owner's messages whose subject or body contains `search`."""
    statement = select(Message).where(Message.owner_id == owner_id)
    if search:
        statement = statement.where(
            contains_text(Message.subject, search) | contains_text(Message.body, search)
        )
    return statement


def find_message(owner_id: int, message_id: int) -> Message | None:
    """Return the owner's message with this ID."""
    own = select(Message).where(Message.owner_id == owner_id, Message.id == message_id)
    return db.session.scalar(own)


def find_attributes(owner_id: int) -> list[str]:
    """Return the names of the newest clients' attributes, most common first."""
    newest = select(Client.attributes).where(Client.owner_id == owner_id).order_by(Client.id.desc())
    counts: Counter[str] = Counter()
    for attributes in db.session.scalars(newest.limit(SAMPLE)):
        counts.update(attributes.keys())  # only the keys: Counter would add up a mapping's values
    counts.pop(TAGS[1], None)  # not allowed in messages; only imports by earlier versions stored it
    return [name for name, _count in counts.most_common(ATTRIBUTES_SHOWN)]


def find_samples(owner_id: int) -> dict[str, str]:
    """Return sample values of the attributes, the name and the address from the newest clients."""
    samples: dict[str, str] = {}
    newest = select(Client).where(Client.owner_id == owner_id).order_by(Client.id.desc()).limit(SAMPLE)
    for client in db.session.scalars(newest):
        standard = {OWN_NAME: client.full_name, OWN_EMAIL: client.email}
        for name, value in (standard | client.attributes).items():
            if value and name not in samples:
                samples[name] = str(value)
    return samples


def find_with_drafts(message_ids: list[int]) -> set[int]:
    """Return the IDs of the messages that have unsaved changes."""
    drafts = select(MessageDraft.message_id).where(MessageDraft.message_id.in_(message_ids))
    return {id for id in db.session.scalars(drafts.where(MessageDraft.discarded_at.is_(None))) if id}


def has_example_links(message: Message) -> bool:
    """Return whether a message still has example links from its template."""
    return EXAMPLE_SITE in message.body


def find_client(owner_id: int, client_id: int | None) -> Client | None:
    """Return the owner's client with this ID; without an ID, the first client, if any."""
    statement = select(Client).where(Client.owner_id == owner_id)
    if client_id is not None:
        statement = statement.where(Client.id == client_id)
    return db.session.scalar(statement.order_by(Client.id).limit(1))


def find_neighbors(client: Client) -> tuple[int | None, int | None]:
    """Return the IDs of the clients before and after this one."""
    statement = select(Client.id).where(Client.owner_id == client.owner_id)
    before = db.session.scalar(statement.where(Client.id < client.id).order_by(Client.id.desc()).limit(1))
    after = db.session.scalar(statement.where(Client.id > client.id).order_by(Client.id).limit(1))
    return before, after


def search_clients(owner_id: int, search: str) -> list[Client]:
    """Return a few of the owner's clients who match `search`."""
    found = list_found(owner_id, search).order_by(Client.email_key)
    return list(db.session.scalars(found.limit(CLIENTS_SHOWN)))
