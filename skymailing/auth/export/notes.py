"""Read an owner's notes about clients, and false duplicates, for the export."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import cells, read_in_chunks
from skymailing.models import Client, ClientNote, DistinctGroup, distinct_clients


def read_notes(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield each note, with the client's address."""
    yield ("time", "email", "text")
    notes = select(ClientNote.id, ClientNote.created_at, Client.email, ClientNote.text)
    notes = notes.join(Client, Client.id == ClientNote.client_id)
    own = (ClientNote.owner_id == user_id) & ClientNote.deleted_at.is_(None)
    yield from map(cells, read_in_chunks(notes.where(own), ClientNote.__table__.c.id))


def read_distinct_clients(user_id: int) -> Iterator[Sequence[Any]]:
    """Yield the groups of clients that the owner declared to be different people, one row per client."""
    yield ("group", "email", "time")
    own = select(DistinctGroup.id, DistinctGroup.created_at).where(DistinctGroup.owner_id == user_id)
    for group_id, created_at in read_in_chunks(own, DistinctGroup.__table__.c.id):
        members = select(Client.id, Client.email)
        members = members.join(distinct_clients, distinct_clients.c.client_id == Client.id)
        members = members.where(distinct_clients.c.group_id == group_id)
        for _id, email in read_in_chunks(members, Client.__table__.c.id):
            yield cells((group_id, group_id, email, created_at))
