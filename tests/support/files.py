"""Attach files to messages, and read them from the letters that arrive."""

import hashlib
import random
import secrets
from email.message import EmailMessage

from sqlalchemy import select
from sqlalchemy.orm import Session, object_session

from skymailing.clock import utcnow
from skymailing.models import FileLink, Message, MessageFile, StoredFile, User

MEGABYTE = 1024 * 1024


def make_bytes(count: int, seed: int = 1) -> bytes:
    """Return bytes that cannot be compressed, the same for the same seed."""
    return random.Random(seed).randbytes(count)


def attach(message: Message, content: bytes, name: str = "price.pdf") -> MessageFile:
    """Attach a file to a message without the form."""
    session = object_session(message)
    assert session is not None
    file = MessageFile(
        owner_id=message.owner_id,
        message_id=message.id,
        file_id=store(session, message.owner_id, content),
        name=name,
        content_type="application/pdf",
    )
    session.add(file)
    session.flush()
    return file


def link_to(owner: User, content: bytes, name: str = "price.pdf") -> FileLink:
    """Create a public link to a file."""
    session = object_session(owner)
    assert session is not None
    now = utcnow()
    times = {"created_at": now, "seen_at": now, "looked_at": now}
    file_id = store(session, owner.id, content)
    link = FileLink(owner_id=owner.id, token=secrets.token_hex(16), file_id=file_id, name=name, **times)
    link.content_type = "application/pdf"
    session.add(link)
    session.flush()
    return link


def store(session: Session, owner_id: int, content: bytes) -> int:
    """Store a content once; return its ID."""
    digest = hashlib.sha256(content).hexdigest()
    same = select(StoredFile.id).where(StoredFile.owner_id == owner_id, StoredFile.digest == digest)
    if known := session.scalar(same):
        return known
    stored = StoredFile(owner_id=owner_id, digest=digest, size=len(content), content=content)
    stored.uploaded_at = utcnow()
    session.add(stored)
    session.flush()
    return stored.id


def list_attached(parsed: EmailMessage) -> list[tuple[str | None, bytes]]:
    """Return the names and contents of a letter's attachments."""
    found = []
    for part in parsed.iter_attachments():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((part.get_filename(), content))
    return found
