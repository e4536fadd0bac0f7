"""Attach files to messages, and read them from the letters that arrive."""

import hashlib
import random
from email.message import EmailMessage

from sqlalchemy.orm import object_session

from skymailing.clock import utcnow
from skymailing.models import Message, MessageFile, StoredFile

MEGABYTE = 1024 * 1024


def make_bytes(count: int, seed: int = 1) -> bytes:
    """Return bytes that cannot be compressed, the same for the same seed."""
    return random.Random(seed).randbytes(count)


def attach(message: Message, content: bytes, name: str = "price.pdf") -> MessageFile:
    """Attach a file to a message without the form."""
    session = object_session(message)
    assert session is not None
    digest = hashlib.sha256(content).hexdigest()
    values = {"owner_id": message.owner_id, "digest": digest, "size": len(content)}
    known = session.query(StoredFile).filter_by(owner_id=message.owner_id, digest=digest).one_or_none()
    stored = known or StoredFile(**values, content=content, uploaded_at=utcnow())
    session.add(stored)
    session.flush()
    file = MessageFile(
        owner_id=message.owner_id,
        message_id=message.id,
        file_id=stored.id,
        name=name,
        content_type="application/pdf",
    )
    session.add(file)
    session.flush()
    return file


def list_attached(parsed: EmailMessage) -> list[tuple[str | None, bytes]]:
    """Return the names and contents of a letter's attachments."""
    found = []
    for part in parsed.iter_attachments():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((part.get_filename(), content))
    return found
