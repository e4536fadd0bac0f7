"""Delete rows of pictures and of file links that no stored text has contained for some days."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from skymailing.models import (
    ArchiveEntry,
    FileLink,
    Layout,
    LetterContent,
    Mailing,
    Message,
    MessageDraft,
    MessagePicture,
    MessageTemplate,
    Run,
    SavedBlock,
)

GRACE = timedelta(days=2)  # after a row was last in use; an undo may restore its use
PAUSE = timedelta(hours=6)  # between two checks of the same row
BATCH = 20  # rows per check; keeps the transaction short

# The columns of texts, with the column of their owner. Sources are included: an unfinished design has no
# body, and a saved block belongs to no message.
OWNED_TEXTS: tuple[tuple[Any, Any], ...] = (
    (Message.owner_id, Message.body),
    (MessageDraft.owner_id, MessageDraft.body),
    (LetterContent.owner_id, LetterContent.body),
    (MessageDraft.owner_id, MessageDraft.source),
    (SavedBlock.owner_id, SavedBlock.block),
    (Layout.owner_id, Layout.body),
    (MessageTemplate.owner_id, MessageTemplate.body),
    (MessageTemplate.owner_id, MessageTemplate.source),
    (ArchiveEntry.owner_id, ArchiveEntry.html),
)

Checked = TypeVar("Checked", MessagePicture, FileLink)


def delete_batch(
    session: Session, model: type[Checked], name_of: Callable[[Checked], str], now: datetime
) -> list[str]:
    """Check the rows that were checked longest ago, in the caller's transaction; return the deleted names."""
    unchecked = select(model).where(model.looked_at < now - PAUSE)
    deleted = []
    for row in session.scalars(unchecked.order_by(model.looked_at).limit(BATCH)).all():
        row.looked_at = now
        if is_used(session, row.owner_id, name_of(row)):
            row.seen_at = now
        elif row.seen_at < now - GRACE:
            session.delete(row)
            deleted.append(name_of(row))
    return deleted


def is_used(session: Session, owner_id: int, name: str) -> bool:
    """Return whether a text of the owner contains the name. Texts of runs count, as letters load files."""
    sent = exists().where(Run.mailing_id == Mailing.id, Mailing.owner_id == owner_id, Run.body.contains(name))
    stored = (exists().where(owner == owner_id, text.contains(name)) for owner, text in OWNED_TEXTS)
    return any(session.scalar(select(found)) for found in (*stored, sent))
