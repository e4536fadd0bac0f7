"""Let people choose the language of their letters, if their sender writes in several.

The choice is the custom field `language` of the client, a code such as "ru", so that segments can use it.
"""

from collections.abc import Sequence

from sqlalchemy import Select, func, select

from skymailing.clients.cleaning import MAX_ATTRIBUTES
from skymailing.extensions import db
from skymailing.models import Client, Message

FIELD = "language"


def find_language(owner_id: int, email_key: str) -> str | None:
    """Return the language that a client has chosen, "" for none; None if there is nothing to choose."""
    in_use = select(func.count(Message.language.distinct()))
    if (db.session.scalar(in_use.where(Message.owner_id == owner_id, Message.language != "")) or 0) < 2:
        return None
    client = db.session.scalar(_select_client(owner_id, email_key))
    return None if client is None else str(client.attributes.get(FIELD, ""))


def save_language(owner_id: int, email_key: str, language: str, known: Sequence[str]) -> None:
    """Store the language that a client has chosen, or remove it if empty; unknown languages are ignored."""
    client = db.session.scalar(_select_client(owner_id, email_key).with_for_update())
    if client is None or (language and language not in known):
        return
    attributes = {key: value for key, value in client.attributes.items() if key != FIELD}
    if language and len(attributes) < MAX_ATTRIBUTES:
        attributes[FIELD] = language
    if attributes != client.attributes:
        client.attributes = attributes
        db.session.flush()


def _select_client(owner_id: int, email_key: str) -> Select[tuple[Client]]:
    return select(Client).where(Client.owner_id == owner_id, Client.email_key == email_key)
