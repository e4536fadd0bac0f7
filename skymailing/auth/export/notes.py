"""Read the notes about an account's clients, for the export."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import cells, read_in_chunks
from skymailing.models import Client, ClientNote


def read_notes(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield each note, with the client's address."""
    yield ("time", "email", "text")
    notes = select(ClientNote.id, ClientNote.created_at, Client.email, ClientNote.text)
    notes = notes.join(Client, Client.id == ClientNote.client_id)
    own = (ClientNote.owner_id == user_id) & ClientNote.deleted_at.is_(None)
    yield from map(cells, read_in_chunks(notes.where(own), ClientNote.__table__.c.id))
