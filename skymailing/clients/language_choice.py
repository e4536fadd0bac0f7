"""Let people choose the language of their letters, if the owner has messages in several languages.

The choice is stored in the client's custom field `language`, as a code such as "ru", which segments can use.
"""

from collections.abc import Sequence

from sqlalchemy import func, select

from skymailing.clients.cleaning import MAX_ATTRIBUTES
from skymailing.clients.queries import find_by_key
from skymailing.extensions import db
from skymailing.models import Message

FIELD = "language"


def find_language(owner_id: int, email_key: str) -> str | None:
    """Return the language that a client has chosen, "" for none; None if there is nothing to choose."""
    in_use = select(func.count(Message.language.distinct()))
    if (db.session.scalar(in_use.where(Message.owner_id == owner_id, Message.language != "")) or 0) < 2:
        return None
    client = find_by_key(owner_id, email_key)
    return None if client is None else str(client.attributes.get(FIELD, ""))


def save_language(owner_id: int, email_key: str, language: str, known: Sequence[str]) -> None:
    """Store the language that a client has chosen, or remove it if empty; unknown languages are ignored."""
    client = find_by_key(owner_id, email_key, to_change=True)
    if client is None or (language and language not in known):
        return
    attributes = {key: value for key, value in client.attributes.items() if key != FIELD}
    if language and len(attributes) < MAX_ATTRIBUTES:
        attributes[FIELD] = language
    if attributes != client.attributes:
        client.attributes = attributes
        db.session.flush()
