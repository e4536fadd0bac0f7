"""Notes that owners add to the timelines of clients."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from skymailing.clients.cleaning import clean_text
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, ClientNote
from skymailing.models.client import NOTE_MAX_LENGTH
from skymailing.undo import UNDO_WINDOW

MAX_NOTES = 500  # per client
# A note in an undo record: its text and time.
StoredNote = list[str]


def add_note(client: Client, text: str, now: datetime) -> ClientNote:
    """Add a note to a client's timeline; raises UserError."""
    text = clean_text(text)
    if not text:
        raise UserError("note_empty")
    if len(text) > NOTE_MAX_LENGTH:
        raise UserError("note_too_long", limit=NOTE_MAX_LENGTH)
    count = select(func.count()).where(ClientNote.client_id == client.id, _is_shown())
    if (db.session.scalar(count) or 0) >= MAX_NOTES:
        raise UserError("client_too_many_notes", limit=MAX_NOTES)
    note = ClientNote(owner_id=client.owner_id, client_id=client.id, text=text, created_at=now)
    db.session.add(note)
    db.session.flush()
    return note


def _is_shown() -> ColumnElement[bool]:
    return ClientNote.deleted_at.is_(None)


def delete_note(note: ClientNote, now: datetime) -> None:
    """Delete a note; this can be undone until `delete_expired` removes it."""
    if note.deleted_at is None:
        note.deleted_at = now


def restore_note(note: ClientNote) -> None:
    """Undo the deletion of a note."""
    note.deleted_at = None


def delete_expired(now: datetime) -> None:
    """Remove notes whose deletion can no longer be undone."""
    expired = ClientNote.deleted_at <= now - UNDO_WINDOW
    # On SQLite even a DELETE that finds nothing takes the write lock, so check first.
    if db.session.scalar(select(ClientNote.id).where(expired).limit(1)) is not None:
        db.session.execute(delete(ClientNote).where(expired))


def find_notes(client_ids: Sequence[int]) -> dict[int, list[StoredNote]]:
    """Return the notes of each client, for an undo record."""
    found: dict[int, list[StoredNote]] = {}
    notes = select(ClientNote).where(ClientNote.client_id.in_(client_ids), _is_shown())
    for note in db.session.scalars(notes.order_by(ClientNote.id)):
        found.setdefault(note.client_id, []).append([note.text, note.created_at.isoformat()])
    return found


def restore_notes(owner_id: int, notes: Mapping[int, Iterable[StoredNote]]) -> None:
    """Restore the notes of an undo record, given by client ID."""
    rows: list[dict[str, Any]] = [
        {"owner_id": owner_id, "client_id": client_id, "text": text, "created_at": datetime.fromisoformat(at)}
        for client_id, stored in notes.items()
        for text, at in stored
    ]
    if rows:
        db.session.execute(insert(ClientNote), rows)


def move_notes(giver_id: int, receiver_id: int, ids: Sequence[int] | None = None) -> list[int]:
    """Move a client's notes to another client: all, or those with these IDs. Return the moved IDs."""
    given = ClientNote.client_id == giver_id
    if ids is not None:
        given &= ClientNote.id.in_(ids)
    moved = update(ClientNote).where(given).values(client_id=receiver_id).returning(ClientNote.id)
    return list(db.session.scalars(moved, execution_options={"synchronize_session": False}))
