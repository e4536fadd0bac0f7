"""Public links to files: a letter that links to a file stays small."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from skymailing.extensions import db
from skymailing.messages.files import NewFile, store_content
from skymailing.models import ArchiveEntry, FileLink, LetterContent, Mailing, Message, MessageDraft, Run

TOKEN_BYTES = 16
GRACE = timedelta(days=2)  # after a link was last in use; an undo may restore its use
PAUSE = timedelta(hours=6)  # between two checks of the same link
BATCH = 20  # links per check; keeps the transaction short


def add_link(owner_id: int, file: NewFile, now: datetime) -> FileLink:
    """Store a file with a link to it; raises LimitReached."""
    link = FileLink(
        owner_id=owner_id,
        token=secrets.token_hex(TOKEN_BYTES),
        file_id=store_content(owner_id, file.content, now),
        name=file.name,
        content_type=file.content_type,
        created_at=now,
        seen_at=now,
        looked_at=now,
    )
    db.session.add(link)
    db.session.flush()
    return link


def find_link(token: str) -> FileLink | None:
    """Return the link with this token."""
    return db.session.scalar(select(FileLink).where(FileLink.token == token))


def delete_unused(now: datetime) -> int:
    """Delete links that no message, draft, run or published letter contains; return how many."""
    with Session(db.engine) as session, session.begin():
        unchecked = select(FileLink).where(FileLink.looked_at < now - PAUSE)
        links = list(session.scalars(unchecked.order_by(FileLink.looked_at).limit(BATCH)))
        deleted = 0
        for link in links:
            link.looked_at = now
            if is_used(session, link):
                link.seen_at = now
            elif link.seen_at < now - GRACE:
                session.delete(link)
                deleted += 1
    return deleted


def is_used(session: Session, link: FileLink) -> bool:
    """Return whether a stored text contains the link; letters that were sent still lead to the file."""

    def is_in(model: type[Message] | type[MessageDraft] | type[LetterContent]) -> bool:
        match = exists().where(model.owner_id == link.owner_id, model.body.contains(link.token))
        return bool(session.scalar(select(match)))

    published = exists().where(ArchiveEntry.owner_id == link.owner_id, ArchiveEntry.html.contains(link.token))
    sent = exists().where(
        Run.mailing_id == Mailing.id, Mailing.owner_id == link.owner_id, Run.body.contains(link.token)
    )
    is_stored = is_in(Message) or is_in(MessageDraft) or is_in(LetterContent)
    return is_stored or bool(session.scalar(select(published | sent)))
