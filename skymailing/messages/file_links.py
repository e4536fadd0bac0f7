"""Public links to files, which keep letters smaller than attachments."""

import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.extensions import db
from skymailing.messages import unused
from skymailing.messages.files import NewFile, store_content
from skymailing.models import FileLink, User

TOKEN_BYTES = 16


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
    """Return the link with this token; None if its owner is blocked, whose links do not work."""
    statement = select(FileLink).join(User, User.id == FileLink.owner_id)
    return db.session.scalar(statement.where(FileLink.token == token, User.blocked_at.is_(None)))


def delete_unused(now: datetime) -> int:
    """Delete links that no stored text contains; return their number."""
    with Session(db.engine) as session, session.begin():
        return len(unused.delete_batch(session, FileLink, lambda link: link.token, now))
